"""The partitions a worker owns: positions, fold, and what waits for confirmation. No Kafka, no Faust."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from schemas.metrics import Metrics
from schemas.records import LogRecord
from streams.engine.state import Output, PartitionState

logger = logging.getLogger(__name__)

Send = Callable[[Sequence[Output]], asyncio.Future[None]]


@dataclass(slots=True)
class Partition:
    """One partition for one assignment; after a rebalance there is a new one, and nothing of this is used again.

    Attributes:
        next_offset: C of docs/fold.md: the log is folded up to here.
        expected_offset: what the consumer must deliver next; ahead of `next_offset` by the buffered batches.
        changelog_end: offset the next changelog record must get.
        highwater: end of the log as the last fetch told.
        unconfirmed: outputs sent, not yet answered by the broker.
    """

    number: int
    generation: int
    state: PartitionState
    next_offset: int
    changelog_end: int
    highwater: int
    expected_offset: int = field(init=False)
    cut_offset: int = field(init=False)
    committed_offset: int = field(init=False)
    cut_at: float = field(default_factory=time.monotonic)  # of the last checkpoint, monotonic seconds
    unconfirmed: list[asyncio.Future[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.expected_offset = self.cut_offset = self.committed_offset = self.next_offset

    @property
    def lag(self) -> int:
        """Records in the log that are not folded yet."""
        return max(0, self.highwater - self.next_offset)

    def accept(self, records: Sequence[LogRecord]) -> Sequence[LogRecord]:
        """Of the fetched records those that were not accepted before, in offset order."""
        if not records or records[-1].offset < self.expected_offset:
            return []
        if records[0].offset < self.expected_offset:
            records = [record for record in records if record.offset >= self.expected_offset]
        if missing := records[0].offset - self.expected_offset:
            # The marker at the end of a transaction takes one offset and is no record.
            logger.log(
                logging.INFO if missing == 1 else logging.WARNING,
                "partition %d has no records at offsets %d to %d: markers of a transactional producer, or lost by the brokers",
                self.number, self.expected_offset, records[0].offset - 1,
            )  # fmt: skip
        self.expected_offset = records[-1].offset + 1
        return records


@dataclass(slots=True)
class Batch:
    """Records of one partition, bound to the assignment they were fetched for.

    Attributes:
        follows: the offset at which the fold must stand when it comes to them.
    """

    partition: Partition | None
    records: Sequence[LogRecord]
    follows: int

    @classmethod
    def accepted(cls, partition: Partition | None, records: Sequence[LogRecord]) -> "Batch":
        """What a fetch delivered, without what was accepted before."""
        if partition is None:
            return cls(None, records, 0)
        follows = partition.expected_offset
        return cls(partition, partition.accept(records), follows)


class GapError(Exception):
    """Records were accepted, and lost before they were folded."""


class Partitions:
    """The partitions owned now, and the fold of their batches.

    Attributes:
        assigned: the group has given this worker its share, which may be none.
    """

    def __init__(self, send: Send, metrics: Metrics, *, batch_records: int) -> None:
        self._send = send
        self._metrics = metrics
        self._batch_records = batch_records
        self._owned: dict[int, Partition] = {}
        self.events_total = 0
        self.assigned = False

    def __iter__(self) -> Iterator[Partition]:
        return iter(list(self._owned.values()))

    def __len__(self) -> int:
        return len(self._owned)

    def get(self, number: int) -> Partition | None:
        return self._owned.get(number)

    def own(self, partitions: Sequence[Partition]) -> None:
        """Replace whatever was owned before."""
        self._owned = {partition.number: partition for partition in partitions}
        self.assigned = True

    def drop(self) -> None:
        """Forget all memory; batches of these partitions are discarded unfolded."""
        self._owned = {}
        self.assigned = False

    def backlogged(self, partition: Partition) -> bool:
        """More than a batch behind: snapshots then wait for the checkpoint, and no tick is written."""
        return partition.lag > self._batch_records

    def fold(self, batch: Batch) -> None:
        """Fold one batch and send what comes out. Synchronous, so a checkpoint never sees half of it.

        Raises:
            GapError: going on would lose records. Nothing is folded.
        """
        partition, records = batch.partition, batch.records
        batch.records = ()  # the queue's message may live longer than this
        if not records or partition is None or self._owned.get(partition.number) is not partition:
            return
        if batch.follows != partition.next_offset:
            raise GapError(f"the fold stands at {partition.next_offset}, the next batch follows {batch.follows}")
        started = time.perf_counter()
        outputs = partition.state.fold(records)
        partition.next_offset = records[-1].offset + 1
        if not self.backlogged(partition):
            outputs += partition.state.take_snapshots()
        self.emit(partition, outputs)
        self.events_total += len(records)
        self._metrics.observe("leadstream_worker_fold_seconds", time.perf_counter() - started)
        self._metrics.observe("leadstream_worker_batch_records", len(records))

    def emit(self, partition: Partition, outputs: Sequence[Output]) -> None:
        """Send outputs that the next checkpoint of this partition must see confirmed."""
        if outputs:
            partition.unconfirmed = [sent for sent in partition.unconfirmed if not _confirmed(sent)]
            partition.unconfirmed.append(self._send(outputs))


def _confirmed(sent: asyncio.Future[None]) -> bool:
    return sent.done() and not sent.cancelled() and sent.exception() is None
