from collections.abc import AsyncIterator, Sequence

import pytest

from schemas.records import LogRecord
from streams.engine.recovery import LogBounds, LogLostError, Recovery, RecoveryError, start_offset
from tests.streams.engine.doubles import CountingMetrics, Record
from tests.streams.engine.toy import OFFSET, PART, ROW, ToyState


@pytest.mark.parametrize(
    ("begin", "end", "committed", "part", "newest", "expected"),
    [
        (0, 0, None, None, -1, 0),  # the very first start
        (0, 50, None, None, -1, 0),
        (0, 50, 20, 20, 19, 20),
        (0, 50, 20, 30, 29, 20),  # died between `part` and the commit
        (0, 50, None, 30, 29, 30),  # died before the first commit, or the group expired
        (20, 50, 20, 20, 49, 20),  # rows ahead of the commit
        (0, 50, 50, 50, 49, 50),
        (0, 50, 0, None, -1, 0),
        (0, 50, None, None, 9, 0),  # died between the first rows and the first `part`
    ],
)
def test_the_fold_goes_on_where_the_commit_or_else_the_changelog_says(
    *, begin: int, end: int, committed: int | None, part: int | None, newest: int, expected: int
) -> None:
    assert start_offset("events[3]", LogBounds(begin, end, 2), committed, own_row(part), newest) == expected


@pytest.mark.parametrize(
    ("begin", "end", "committed", "part", "newest", "reason"),
    [
        (30, 50, 20, 20, 19, "the log begins at 30: 10 records were deleted unread"),
        (0, 50, 60, 60, 10, "the fold stands at 60, but the log ends at 50"),
        (10, 50, None, None, -1, "the log begins at 10: its first records are gone"),
        (0, 50, 30, 20, 19, "the changelog ends at offset 20 of the log, but 30 is committed"),
        (0, 50, 30, None, -1, "the changelog has no `part` record"),
        (0, 50, 20, 20, 50, "rows know the log up to 51, but it ends at 50"),
        (0, 50, None, None, 70, "rows know the log up to 71, but it ends at 50"),
        (0, 50, None, 60, 10, "rows know the log up to 60, but it ends at 50"),
        (0, 50, 60, 40, 10, "the fold stands at 60, but the log ends at 50"),  # a loss that was half accepted
    ],
)
def test_what_does_not_fit_together_ends_the_worker_with_the_reason(
    *, begin: int, end: int, committed: int | None, part: int | None, newest: int, reason: str
) -> None:
    with pytest.raises(RecoveryError, match=reason) as caught:
        start_offset("events[3]", LogBounds(begin, end, 2), committed, own_row(part), newest)
    assert str(caught.value).startswith("events[3]: ")


def own_row(offset: int | None) -> tuple[int, int] | None:
    """Of epoch 2."""
    return None if offset is None else (2, offset)


@pytest.mark.parametrize(("committed", "end"), [(None, 50), (20, 50), (20, 10), (0, 1)])
def test_a_log_that_was_made_anew_is_known_by_its_epoch_however_long_it_has_grown(
    committed: int | None, end: int
) -> None:
    with pytest.raises(LogLostError, match="the log begins with epoch 3, but rows are of epoch 2") as caught:
        start_offset("events[3]", LogBounds(0, end, 3), committed, own_row(20), 19)
    assert caught.value.go_on_at == 0
    assert start_offset("events[3]", LogBounds(0, end, 3), 0, (3, 0), -1) == 0  # the loss was accepted


class Source:
    """A changelog and a log as lists."""

    def __init__(self, rows: list[tuple[bytes | None, bytes | None]], bounds: LogBounds) -> None:
        self._records = [Record(offset, key, value) for offset, (key, value) in enumerate(rows)]
        self._bounds = bounds

    async def changelog(self, partitions: Sequence[int]) -> AsyncIterator[tuple[int, Sequence[LogRecord]]]:
        for start in range(0, len(self._records), 2):
            yield partitions[0], self._records[start : start + 2]

    def changelog_end(self, partition: int) -> int:
        return len(self._records)

    async def log_bounds(self, partitions: Sequence[int]) -> dict[int, LogBounds]:
        return dict.fromkeys(partitions, self._bounds)


def recovery(source: Source) -> Recovery:
    return Recovery(source, lambda _: ToyState("t"), CountingMetrics(), events_topic="events", changelog_topic="rows")


async def test_a_partition_comes_back_with_its_rows_its_start_and_its_changelog_end() -> None:
    rows: list[tuple[bytes | None, bytes | None]] = [
        (b"1a", ROW.pack(1, 0)),
        (PART, OFFSET.pack(1)),
        (b"1a", ROW.pack(3, 4)),
        (b"1a", ROW.pack(2, 2)),  # a zombie's: older than what stands before it
        (PART, OFFSET.pack(5)),
    ]
    made = await recovery(Source(rows, LogBounds(0, 9))).recover([2], {2: 5}, generation=8)
    assert len(made) == 1
    partition = made[0]
    assert (partition.number, partition.generation) == (2, 8)
    assert (partition.next_offset, partition.expected_offset, partition.changelog_end) == (5, 5, 5)
    assert partition.lag == 4
    assert isinstance(partition.state, ToyState)
    assert partition.state.counts == {b"1a": (3, 4)}


@pytest.mark.parametrize(("key", "value"), [(b"1a", b"short"), (None, b"x")])
async def test_a_row_that_cannot_be_read_is_named_with_its_offset(key: bytes | None, value: bytes) -> None:
    rows: list[tuple[bytes | None, bytes | None]] = [(b"1b", ROW.pack(1, 0)), (key, value)]
    with pytest.raises(RecoveryError, match=rf"rows\[2\] offset 1 key {(key or b'')!r} cannot be read"):
        await recovery(Source(rows, LogBounds(0, 9))).recover([2], {2: None}, generation=8)


@pytest.mark.parametrize("later", [ROW.pack(3, 4), ROW.pack(2, 2), None], ids=["the row", "an older row", "a deletion"])
async def test_a_later_record_of_the_key_stands_in_for_one_that_cannot_be_read(later: bytes | None) -> None:
    rows = [(b"1a", ROW.pack(3, 4)), (b"1a", b"short"), (PART, OFFSET.pack(5)), (b"1a", later)]
    [partition] = await recovery(Source([*rows], LogBounds(0, 9))).recover([2], {2: 5}, generation=8)
    assert isinstance(partition.state, ToyState)
    assert partition.state.counts.get(b"1a") == (None if later is None else (3, 4))


async def test_a_later_record_of_another_key_does_not() -> None:
    rows: list[tuple[bytes | None, bytes | None]] = [(b"1a", b"short"), (b"1b", ROW.pack(3, 4)), (b"1b", None)]
    with pytest.raises(RecoveryError, match=r"rows\[2\] offset 0 key b'1a' cannot be read.*leadstream rows mend"):
        await recovery(Source(rows, LogBounds(0, 9))).recover([2], {2: None}, generation=8)


async def test_each_assignment_gets_a_new_state() -> None:
    again = recovery(Source([], LogBounds(0, 0)))
    first, second = [(await again.recover([0], {0: None}, generation=n))[0] for n in (1, 2)]
    assert first.state is not second.state
