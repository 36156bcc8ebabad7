from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from processors.dead_letters import dead_letter
from processors.play import PlayedRecord
from schemas.codec import encode
from streams.delivery.letters import Letter, _letters


@dataclass
class OnTopic:
    value: bytes | None
    partition: int
    offset: int
    timestamp: int = 0


def written(name: str) -> bytes:
    letter = dead_letter(
        PlayedRecord(int(name), 5, b"1a", b"{"), "events", 0, step="worker", reason="bad_json", detail=""
    )
    return encode("DeadLetter", letter)


def mark(name: str, outcome: str = "dropped") -> bytes:
    return encode("DeadLetterHandled", {"id": f"events/0/{name}", "outcome": outcome, "at": 9, "detail": "d"})


async def read(*values: bytes | None, partition: int = 0) -> list[Letter]:
    return await of([OnTopic(value, partition, offset, offset) for offset, value in enumerate(values)])


async def of(records: Sequence[OnTopic]) -> list[Letter]:
    async def each() -> AsyncIterator[Any]:
        for record in records:
            yield record

    return await _letters(each())


def shown(letters: Sequence[Letter]) -> list[tuple[int, str, str | None]]:
    return [(one.number, one.id[-1], one.handled and one.handled["outcome"]) for one in letters]


async def test_a_mark_says_what_became_of_a_letter() -> None:
    assert shown(await read(written("1"), written("2"), mark("1"))) == [(1, "1", "dropped"), (2, "2", None)]


async def test_the_last_mark_counts() -> None:
    assert shown(await read(written("1"), mark("1"), mark("1", "replayed"))) == [(1, "1", "replayed")]


async def test_a_letter_that_comes_again_after_its_mark_is_open_again() -> None:
    assert shown(await read(written("1"), mark("1"), written("1"))) == [(1, "1", None)]


async def test_a_mark_without_a_letter_and_what_is_no_letter_are_passed_over() -> None:
    assert shown(await read(mark("1"), None, b"garbage", written("1"), encode("Tick", {}))) == [(1, "1", None)]


async def test_letters_are_numbered_by_time_over_all_partitions() -> None:
    letters = await of([OnTopic(written("1"), 0, 0, 20), OnTopic(written("2"), 1, 0, 10), OnTopic(mark("2"), 1, 1, 0)])
    assert shown(letters) == [(1, "2", "dropped"), (2, "1", None)]


@given(st.lists(st.tuples(st.sampled_from("123"), st.booleans()), max_size=20))
async def test_a_letter_is_open_exactly_when_its_last_record_is_a_letter(history: list[tuple[str, bool]]) -> None:
    letters = await read(*(mark(name) if is_mark else written(name) for name, is_mark in history))
    first = {name for name, is_mark in history if not is_mark}
    assert {one.id[-1] for one in letters} == first
    for one in letters:
        last = [is_mark for name, is_mark in history if name == one.id[-1]][-1]
        assert bool(one.handled) == last
