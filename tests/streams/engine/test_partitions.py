import asyncio
from collections.abc import Sequence

import pytest

from streams.engine.partitions import Batch, GapError, Partition, Partitions
from streams.engine.state import Output
from tests.streams.engine.doubles import CountingMetrics, Record
from tests.streams.engine.toy import ToyState


def partition(start: int = 10, highwater: int = 0) -> Partition:
    return Partition(0, 1, ToyState("transitions", "scores"), start, 0, highwater)


@pytest.mark.parametrize(
    ("fetched", "accepted"),
    [
        ([10, 11], [10, 11]),
        ([8, 9], []),
        ([9, 10, 11], [10, 11]),
        ([12, 13], [12, 13]),  # nothing is at offsets 10 and 11
        ([], []),
    ],
)
def test_records_are_accepted_once_and_in_order(fetched: list[int], accepted: list[int]) -> None:
    target = partition()
    assert [record.offset for record in target.accept([Record(offset) for offset in fetched])] == accepted
    assert target.accept([Record(offset) for offset in fetched]) == []


@pytest.mark.parametrize(("first", "level"), [(11, "INFO"), (12, "WARNING")])
def test_offsets_without_records_are_told_loudly_where_they_are_more_than_a_marker(
    first: int, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    partition().accept([Record(first)])
    assert [(record.levelname, record.getMessage().partition(":")[0]) for record in caplog.records] == [
        (level, f"partition 0 has no records at offsets 10 to {first - 1}")
    ]


class Sent:
    def __init__(self) -> None:
        self.outputs: list[Output] = []

    def __call__(self, outputs: Sequence[Output]) -> asyncio.Future[None]:
        self.outputs += outputs
        return asyncio.get_running_loop().create_future()


def owned(target: Partition) -> tuple[Partitions, Sent]:
    sent = Sent()
    partitions = Partitions(sent, CountingMetrics(), batch_records=5)
    partitions.own([target])
    return partitions, sent


async def test_a_fold_moves_the_offset_and_sends_transitions_and_snapshots() -> None:
    target = partition(start=0)
    partitions, sent = owned(target)
    partitions.fold(Batch(target, [Record(offset) for offset in range(10)], 0))
    assert target.next_offset == 10
    assert [output.topic for output in sent.outputs] == ["transitions", "scores"]
    assert len(target.unconfirmed) == 1
    assert partitions.events_total == 10


async def test_no_partition_is_an_assignment_too() -> None:
    partitions, _ = owned(partition())
    assert partitions.assigned
    partitions.drop()
    assert not partitions.assigned
    partitions.own([])
    assert partitions.assigned


async def test_with_a_backlog_snapshots_wait() -> None:
    target = partition(start=0, highwater=100)
    partitions, sent = owned(target)
    partitions.fold(Batch(target, [Record(0)], 0))
    assert sent.outputs == []
    target.highwater = 3
    partitions.fold(Batch(target, [Record(1)], 1))
    assert [output.topic for output in sent.outputs] == ["scores"]


async def test_a_batch_of_an_older_assignment_is_discarded_unfolded() -> None:
    old, new = partition(start=0), partition(start=0)
    partitions, sent = owned(new)
    partitions.fold(Batch(old, [Record(0)], 0))
    partitions.fold(Batch(None, [Record(0)], 0))
    assert (old.next_offset, new.next_offset, sent.outputs) == (0, 0, [])


async def test_a_batch_behind_one_that_was_lost_is_not_folded() -> None:
    target = partition(start=0)
    partitions, sent = owned(target)
    Batch.accepted(target, [Record(0), Record(1)])
    second = Batch.accepted(target, [Record(2)])
    with pytest.raises(GapError, match="stands at 0, the next batch follows 2"):
        partitions.fold(second)
    assert (target.next_offset, sent.outputs) == (0, [])


async def test_a_fold_that_raises_moves_nothing() -> None:
    target = partition(start=0)
    partitions, _ = owned(target)
    broken = Record(0)
    del broken.key
    broken.__class__ = type("NoKey", (), {"offset": 0})
    with pytest.raises(AttributeError):
        partitions.fold(Batch(target, [broken], 0))
    assert target.next_offset == 0


async def test_confirmed_outputs_are_not_kept() -> None:
    target = partition(start=0)
    partitions, _ = owned(target)
    for offset in range(5):
        partitions.fold(Batch(target, [Record(offset)], offset))
        target.unconfirmed[-1].set_result(None)
    assert len(target.unconfirmed) == 1
