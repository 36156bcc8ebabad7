"""The share of dead letters stops the worker before anything of the batch is sent."""

import asyncio
from collections.abc import Sequence

import pytest

from processors.fold_partition import PartitionFold
from schemas.codec import Kind, encode
from schemas.keys import CONTROL_KEY
from streams.delivery.dead_share import LEAST_SEEN, NEVER, DeadShare
from streams.engine.partitions import Batch, Partition, Partitions
from streams.engine.state import Output, StopWorkerError
from streams.scoring_state import ScoringState
from tests.processors.history import model_record
from tests.processors.small_models import COUNTING
from tests.streams.engine.doubles import CountingMetrics, Record

TOPICS: dict[Kind, str] = dict.fromkeys(
    ("StageTransition", "LeadSnapshot", "ModelActivated", "DeadLetter"), "somewhere"
)
GOOD = b'{"event_id": "e", "type": "page_view", "occurred_at": null}'
BAD = b"{broken"
TICK = encode("Tick", {})


def state_of(share: DeadShare, number: int = 0, partitions: int = 1) -> ScoringState:
    state = ScoringState(PartitionFold("events", number, partitions), number, TOPICS, CountingMetrics(), share)
    state.fold([Record(0, CONTROL_KEY, model_record(COUNTING))])
    return state


def log(*values: bytes, first: int = 1) -> list[Record]:
    return [Record(first + n, b"1a" if value != TICK else CONTROL_KEY, value) for n, value in enumerate(values)]


def test_most_records_bad_stops_the_worker_and_names_the_newest_letter() -> None:
    state = state_of(DeadShare())
    state.fold(log(*[GOOD] * 49))  # with the model 50
    with pytest.raises(StopWorkerError, match=r"51 of the latest 101 .* the newest: events/0/150: bad_json") as stopped:
        state.fold(log(*[BAD] * 51, first=100))
    assert "worker.dead_letter_share = 0.5" in str(stopped.value)


def test_some_garbage_and_a_few_records_of_nothing_but_garbage_stop_nothing() -> None:
    state = state_of(DeadShare())
    assert len(state.fold(log(*[BAD] * (LEAST_SEEN - 2)))) == LEAST_SEEN - 2
    state = state_of(DeadShare())
    for first in range(1, 3_000, 10):
        state.fold(log(*[BAD, GOOD] * 5, first=first))


def test_a_share_of_1_lets_everything_become_dead_letters() -> None:
    assert len(state_of(DeadShare(NEVER)).fold(log(*[BAD] * 3_000))) == 3_000


def test_the_worker_s_own_ticks_do_not_make_the_share_smaller() -> None:
    share = DeadShare()
    state = state_of(share)
    state.fold(log(*[TICK] * 5_000))
    assert share.seen == 1
    with pytest.raises(StopWorkerError):
        state.fold(log(*[BAD] * LEAST_SEEN, first=6_000))


def test_the_partitions_of_a_worker_are_judged_together() -> None:
    share = DeadShare()
    first, second = state_of(share, 0, 2), state_of(share, 1, 2)
    first.fold(log(*[BAD] * 60))
    with pytest.raises(StopWorkerError, match=r"120 of the latest 122 .* events/1/60"):
        second.fold(log(*[BAD] * 60))


async def test_nothing_of_the_batch_is_sent_and_the_offset_does_not_move() -> None:
    sent: list[Output] = []

    def send(outputs: Sequence[Output]) -> asyncio.Future[None]:
        sent.extend(outputs)
        return asyncio.get_running_loop().create_future()

    partition = Partition(0, 1, state_of(DeadShare()), 1, 0, 1)
    partitions = Partitions(send, CountingMetrics(), batch_records=2_000)
    partitions.own([partition])
    with pytest.raises(StopWorkerError):
        partitions.fold(Batch(partition, log(*[BAD] * 500), follows=1))
    assert sent == []
    assert partition.next_offset == 1


def test_a_row_whose_body_cannot_be_read_stops_the_worker_and_names_the_command() -> None:
    state = state_of(DeadShare())
    state.fold(log(GOOD))
    rows = dict(state.take_checkpoint(2))
    after = ScoringState(PartitionFold("events", 0, 1), 0, TOPICS, CountingMetrics(), DeadShare())
    for key, value in rows.items():
        after.restore(key, (value or b"")[:-3] if key == b"1a" else value)
    after.restored()
    with pytest.raises(StopWorkerError, match=r"row b'1a': .* cannot be read. .*: leadstream rows mend"):
        after.fold(log(GOOD, first=2))
