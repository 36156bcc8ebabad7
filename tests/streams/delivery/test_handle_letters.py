"""Letters replayed on a real broker, through the real fold: what they say counts, and counts once."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from aiokafka.errors import KafkaError

from processors.model import event_from_fields
from processors.outbox import Sent
from schemas.codec import encode
from schemas.keys import partition_of
from sinks.base import Delivery
from sources.config import CollectorSettings
from streams.delivery.handle_letters import Hand, LetterHandler
from streams.delivery.letters import Letter, read_letters
from streams.delivery.put_back import CannotReplayError, PutBack, SinkAwayError, put_back
from streams.kafka.send_record import RecordWriter
from streams.kafka.topics import Topics
from streams.verification.verify import verify
from tests.brokers import Broker
from tests.sinks.records import transition
from tests.streams.delivery.test_put_back import of_collector, of_sink, page, strict
from tests.streams.scored_log import ScoredLog

ADA, EVE = b"1ada", b"1eve"
COLLECTOR = CollectorSettings(secret=b"secret")


@pytest_asyncio.fixture
async def log(broker: Broker, prefix: str) -> AsyncIterator[ScoredLog]:
    """Ada has looked at prices; a second act of hers and one of Eve stand in partitions that are not theirs."""
    async with ScoredLog.start(broker, Topics(prefix=prefix)) as log:
        await log.act(ADA, url="https://a.example/pricing", id_="a1")
        for key, id_ in ((ADA, "a2"), (EVE, "b1")):
            home = partition_of(key, log.partitions)
            event = event_from_fields({"event": "page_view", "url": "https://a.example/pricing"}, log.now)
            value = encode("TrackedEvent", {**event, "event_id": id_})
            await log.append(key, value, (home + 1) % log.partitions)
        await log.append(ADA, b"{broken")
        await log.work()
        yield log


class Hands:
    """Sinks that take what they are given, or not."""

    def __init__(self) -> None:
        self.given: list[tuple[str, str]] = []
        self.trouble: CannotReplayError | None = None
        self.opened: list[str] = []

    def __call__(self, name: str, stack: AsyncExitStack) -> Hand:
        self.opened.append(name)

        async def give(delivery: Delivery) -> None:
            self.given.append((name, (delivery.record or {})["id"]))
            if self.trouble is not None:
                raise self.trouble

        return give


def handler(log: ScoredLog, hands: Hands | None = None, progress: list[int] | None = None) -> LetterHandler:
    return LetterHandler(
        log.brokers,
        log.topics.dead_letters,
        log.partitions,
        now_ms=lambda: log.now,
        hands=hands or Hands(),
        on_progress=(progress if progress is not None else []).append,
    )


async def letters_of(log: ScoredLog) -> list[Letter]:
    return await read_letters(log.brokers, log.topics.dead_letters, log.partitions)


def plan(log: ScoredLog, letters: list[Letter]) -> list[tuple[Letter, PutBack]]:
    collector = replace(COLLECTOR, events_topic=log.topics.events, dead_letters_topic=log.topics.dead_letters)
    return [(letter, put_back(letter.letter, log.topics, collector)) for letter in letters]


async def acts_of(log: ScoredLog, key: bytes) -> int | None:
    """How many acts of the lead its row has counted; None: there is no row."""
    opened = log.fold_of(partition_of(key, log.partitions)).rows.read(key)
    return None if opened is None else max(tally.count for tally in opened.row.tallies.values())


async def add(log: ScoredLog, letter: Any, partition: int = 0) -> None:
    await log.send([Sent("DeadLetter", letter["id"].encode(), encode("DeadLetter", letter))], partition)


async def test_a_replayed_act_counts_and_a_second_replay_counts_nothing_twice(log: ScoredLog) -> None:
    assert (await acts_of(log, ADA), await acts_of(log, EVE)) == (1, None)
    misplaced = [letter for letter in await letters_of(log) if letter.letter["reason"] == "wrong_partition"]
    assert len(misplaced) == 2
    done = await handler(log).replay(plan(log, misplaced))
    await log.work()
    assert (await acts_of(log, ADA), await acts_of(log, EVE)) == (2, 1)
    assert all(one.detail.startswith(f"put back at {log.topics.events}/") for one in done)

    again = await handler(log).replay(plan(log, misplaced))  # as after an end between the send and the note
    await log.work()
    assert (await acts_of(log, ADA), await acts_of(log, EVE)) == (2, 1)
    assert len(again) == 2
    report = await verify(log.brokers, log.topics, log.partitions)
    assert report.differences == []
    assert report.dropped["duplicate"] == 2
    assert report.counted_twice == 0


async def test_what_was_handled_is_noted_in_the_partition_of_its_letter(log: ScoredLog) -> None:
    letters = await letters_of(log)
    misplaced = [letter for letter in letters if letter.letter["reason"] == "wrong_partition"]
    progress: list[int] = []
    await handler(log, progress=progress).replay(plan(log, misplaced))
    await handler(log).drop([letter for letter in letters if letter.letter["reason"] == "bad_json"])
    handled = {letter.letter["reason"]: letter.handled for letter in await letters_of(log)}
    assert handled["wrong_partition"] is not None
    assert handled["bad_json"] is not None
    assert (handled["wrong_partition"]["outcome"], handled["bad_json"]["outcome"]) == ("replayed", "dropped")
    assert progress == [2]
    assert (await verify(log.brokers, log.topics, log.partitions)).equal


async def test_a_request_of_the_collector_is_read_again_and_counts_once(log: ScoredLog) -> None:
    url = "https://a.example/pricing"
    calls = [page(anonymousId="zoe", messageId=None, properties={"url": url}) for _ in range(2)]
    letter = of_collector({"batch": calls}, settings=strict(COLLECTOR))
    letter["seen_at"] = log.now
    await add(log, letter, partition_of(letter["id"].encode(), log.partitions))
    found = [one for one in await letters_of(log) if one.letter["step"] == "collector"]
    for _ in range(2):
        await handler(log).replay(plan(log, found))
    await log.work()
    assert await acts_of(log, b"1zoe") == 2
    assert (await verify(log.brokers, log.topics, log.partitions)).equal


async def test_a_transition_is_handed_to_its_own_sink_and_no_topic_gets_it(log: ScoredLog) -> None:
    for number, name in enumerate(("webhook", "alerts", "webhook")):
        value = encode("StageTransition", transition(id=f"t-{number}"))
        await add(log, {**of_sink(name, value, log.topics.transitions), "id": f"x/0/{number}"})
    before = [len(await log.records(log.topics.transitions, number)) for number in range(log.partitions)]
    ours = [letter for letter in await letters_of(log) if letter.letter["step"].startswith("sink.")]
    hands = Hands()
    done = await handler(log, hands).replay(plan(log, ours))
    assert hands.given == [("webhook", "t-0"), ("alerts", "t-1"), ("webhook", "t-2")]
    assert hands.opened == ["webhook", "alerts"]
    assert [one.detail for one in done[:2]] == ["handed to the sink webhook", "handed to the sink alerts"]
    assert before == [len(await log.records(log.topics.transitions, number)) for number in range(log.partitions)]
    assert all(letter.handled for letter in await letters_of(log) if letter.letter["step"].startswith("sink."))


@pytest.mark.parametrize(
    ("trouble", "asked"),
    [(CannotReplayError("the destination refuses it again", "410"), 2), (SinkAwayError("not now", "503"), 1)],
)
async def test_what_a_destination_does_not_take_stays_open(
    log: ScoredLog, trouble: CannotReplayError, asked: int
) -> None:
    for number in range(2):
        value = encode("StageTransition", transition(id=f"t-{number}"))
        await add(log, {**of_sink("webhook", value, log.topics.transitions), "id": f"x/0/{number}"})
    ours = [letter for letter in await letters_of(log) if letter.letter["step"].startswith("sink.")]
    hands = Hands()
    hands.trouble = trouble
    done = await handler(log, hands).replay(plan(log, ours))
    assert [(one.skipped, one.detail) for one in done] == [(trouble.why, trouble.detail)] * 2
    assert len(hands.given) == asked
    assert not any(letter.handled for letter in await letters_of(log))


async def test_nothing_is_noted_of_what_was_not_confirmed(log: ScoredLog, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    async def refuse(self: RecordWriter, records: Any, timestamp_ms: int) -> list[int]:
        written.extend(tp.topic for tp, _, _ in records)
        raise KafkaError("away")

    misplaced = [letter for letter in await letters_of(log) if letter.letter["reason"] == "wrong_partition"]
    monkeypatch.setattr(RecordWriter, "write", refuse)
    with pytest.raises(KafkaError):
        await handler(log).replay(plan(log, misplaced))
    assert set(written) == {log.topics.events}
