"""Rebuilds the memory of partitions after an assignment: docs/fold.md 7. No Faust; Kafka behind `RecoverySource`."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.metrics import Metrics
from schemas.records import LogRecord
from streams.engine.partitions import Partition
from streams.engine.state import CorruptRowError, PartitionState
from streams.engine.unreadable import Unreadable


class RecoveryError(Exception):
    """Log, changelog and commit do not fit together. The worker exits; the message tells what to do."""


class LogLostError(RecoveryError):
    """The log has lost records. `go_on_at`: what is left of it may be folded from there; None: its offsets begin anew."""

    def __init__(self, message: str, go_on_at: int | None = None) -> None:
        super().__init__(
            f"{message}. With all workers stopped, `leadstream topics accept-loss` goes on from what is left"
        )
        self.go_on_at = go_on_at


@dataclass(frozen=True, slots=True)
class LogBounds:
    """Of one partition of the events topic: first offset still there, offset the next record gets.

    `epoch`: with which the log begins; 0: its first record is gone.
    """

    begin: int
    end: int
    epoch: int = 0


class RecoverySource(Protocol):
    def changelog(self, partitions: Sequence[int]) -> AsyncIterator[tuple[int, Sequence[LogRecord]]]:
        """(partition, records) in log order up to the true end of each partition."""

    def changelog_end(self, partition: int) -> int:
        """After `changelog`: the offset its next record gets."""

    async def log_bounds(self, partitions: Sequence[int]) -> Mapping[int, LogBounds]: ...


def start_offset(
    where: str, bounds: LogBounds, committed: int | None, part: tuple[int, int] | None, newest_row_offset: int
) -> int:
    """Where the fold goes on (docs/fold.md 7.1).

    Args:
        where: topic and partition, for messages.
        bounds: of the events partition.
        committed: by the group; None: never.
        part: epoch and C of the changelog's `part` record; None: there is none.
        newest_row_offset: highest row version of the current epoch; -1: no row.

    Raises:
        LogLostError: the log has lost records.
        RecoveryError: going on would lose or repeat something for another reason.
    """
    epoch, part_offset = part if part is not None else (0, None)
    if part is not None and bounds.epoch > epoch:
        raise LogLostError(
            f"{where}: the log begins with epoch {bounds.epoch}, but rows are of epoch {epoch}: it was made anew",
            go_on_at=0,
        )
    if committed is not None and committed > bounds.end:
        raise LogLostError(
            f"{where}: the fold stands at {committed}, but the log ends at {bounds.end}: it was truncated or made anew"
        )
    if committed is not None and committed > 0 and part_offset is None:
        raise RecoveryError(
            f"{where}: offset {committed} is committed, but the changelog has no `part` record: it lost writes. "
            "Restore the changelog topic, or rebuild: reset the group to the log's first offset with an empty changelog"
        )
    if committed is not None and part_offset is not None and part_offset < committed:
        raise RecoveryError(
            f"{where}: the changelog ends at offset {part_offset} of the log, but {committed} is committed: it lost "
            "writes. Commit the group back to the former, if the log still has it"
        )
    start = committed if committed is not None else part_offset
    if start is None:
        if bounds.begin > 0:
            raise LogLostError(
                f"{where}: nothing is committed, the changelog is empty, and the log begins at {bounds.begin}: its "
                "first records are gone"
            )
        start = 0
    if start < bounds.begin:
        raise LogLostError(
            f"{where}: the fold stands at {start}, but the log begins at {bounds.begin}: {bounds.begin - start} records "
            "were deleted unread",
            go_on_at=bounds.begin,
        )
    known = max(start, newest_row_offset + 1)
    if known > bounds.end:
        raise LogLostError(
            f"{where}: rows know the log up to {known}, but it ends at {bounds.end}: it was truncated or made anew"
        )
    return start


class Recovery:
    """Makes new partitions; the caller owns them only when all are ready."""

    def __init__(
        self,
        source: RecoverySource,
        state_factory: Callable[[int], PartitionState],
        metrics: Metrics,
        *,
        events_topic: str,
        changelog_topic: str,
    ) -> None:
        self._source = source
        self._state_factory = state_factory
        self._metrics = metrics
        self._events_topic = events_topic
        self._changelog_topic = changelog_topic
        self.restored_total = 0

    async def recover(
        self, numbers: Iterable[int], committed: Mapping[int, int | None], generation: int
    ) -> list[Partition]:
        """Read the changelog of the partitions and check it against log and commits.

        Raises:
            RecoveryError: see `start_offset`; also for a row that cannot be read.
        """
        started = time.perf_counter()
        numbers = sorted(numbers)
        states = {number: self._state_factory(number) for number in numbers}
        unreadable = {number: Unreadable() for number in numbers}
        async for number, records in self._source.changelog(numbers):
            for record in records:
                unreadable[number].take(record, states[number].restore, CorruptRowError)
            self.restored_total += len(records)
            await asyncio.sleep(0)
        for number in numbers:
            self._require_readable(number, unreadable[number])
        bounds = await self._source.log_bounds(numbers)  # after the changelog: an old owner may still have written
        partitions = []
        for number, state in states.items():
            state.restored()
            where = f"{self._events_topic}[{number}]"
            part = None if state.next_offset is None else (state.epoch, state.next_offset)
            start = start_offset(where, bounds[number], committed.get(number), part, state.newest_row_offset)
            end = self._source.changelog_end(number)
            partitions.append(Partition(number, generation, state, start, end, bounds[number].end))
        self._metrics.observe("leadstream_worker_recovery_seconds", time.perf_counter() - started)
        return partitions

    def _require_readable(self, number: int, unreadable: Unreadable) -> None:
        for key, (offset, why) in unreadable.items():
            raise RecoveryError(
                f"{self._changelog_topic}[{number}] offset {offset} key {key!r} cannot be read: {why}. "
                "Going on would lose points. Make the row anew from the log: leadstream rows mend"
            )
