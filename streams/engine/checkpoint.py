"""The aligned checkpoint, docs/fold.md 6: outputs, then rows, then `part`, then the offset, each confirmed before the next.

It knows no Kafka: what it does to the world are the five methods of `Effects`.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.metrics import Metrics
from streams.engine.partitions import Partition, Partitions

ChangelogRecord = tuple[bytes, bytes | None]

# A second writer is noticed at a write. It has to be, long before compaction (`min.compaction.lag.ms`, a day) can delete a row of
# ours because an older one of that writer lies behind it; so a partition in which nothing happens is written to as well.
IDLE_SECONDS = 3_600.0


class ForeignWriterError(Exception):
    """Somebody else wrote to the changelog partition since it was read."""


class Effects(Protocol):
    async def confirm(self, outputs: Sequence[asyncio.Future[None]]) -> None:
        """Wait until all are confirmed; raises what went wrong."""

    async def is_member(self, generation: int) -> bool:
        """Ask the group now. False: the partitions may have another owner."""

    async def write_changelog(self, partition: int, records: Sequence[ChangelogRecord]) -> list[tuple[int, int]]:
        """(base offset, count) of each confirmed batch."""

    async def commit(self, offsets: Mapping[int, int], generation: int) -> bool:
        """False: the group has rebalanced. Raises for anything else but success."""

    def rejoin(self, reason: str) -> None:
        """Ask the group for partitions anew."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What one partition owes the world at one instant."""

    partition: Partition
    next_offset: int
    outputs: list[asyncio.Future[None]]
    records: list[ChangelogRecord]


class Checkpoint:
    """Runs one at a time; a call during a run waits for it and runs once more."""

    def __init__(
        self,
        partitions: Partitions,
        effects: Effects,
        metrics: Metrics,
        *,
        on_failure: Callable[[str], None],
    ) -> None:
        self._partitions = partitions
        self._effects = effects
        self._metrics = metrics
        self._on_failure = on_failure
        self._lock = asyncio.Lock()
        self._failed = False
        self.completed_total = 0

    async def run(self) -> bool:
        """Make durable what is folded now. True if an offset was committed.

        After a failure it never does anything again: the process ends and recovery repairs.
        """
        async with self._lock:
            if self._failed:
                return False
            try:
                return await self._run_once()
            except asyncio.CancelledError:
                self._failed = True  # cut, but not written: nothing may be committed on top
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the worker stops
                self._failed = True
                self._on_failure(f"checkpoint failed: {str(error) or repr(error)}")
                return False

    async def _run_once(self) -> bool:
        started = time.perf_counter()
        cuts = self._cut()
        if not cuts:
            return False
        generation = cuts[0].partition.generation
        await self._effects.confirm([sent for cut in cuts for sent in cut.outputs])
        if not await self._effects.is_member(generation):
            self._lose("the group does not know this worker any more")
            return False
        await asyncio.gather(*(self._write(cut.partition, cut.records[:-1]) for cut in cuts))
        await asyncio.gather(*(self._write(cut.partition, cut.records[-1:]) for cut in cuts))
        if not await self._effects.commit({cut.partition.number: cut.next_offset for cut in cuts}, generation):
            self._lose("the group rebalanced before the commit")
            return False
        for cut in cuts:
            cut.partition.committed_offset = cut.next_offset
        self.completed_total += 1
        self._metrics.observe("leadstream_worker_checkpoint_seconds", time.perf_counter() - started)
        self._metrics.count("leadstream_worker_changelog_records_total", sum(len(cut.records) for cut in cuts))
        return True

    def _cut(self) -> list[Cut]:
        """One synchronous step, so offsets, outputs and rows belong together."""
        cuts, now = [], time.monotonic()
        for partition in self._partitions:
            if partition.next_offset == partition.cut_offset and now - partition.cut_at < IDLE_SECONDS:
                continue
            self._partitions.emit(partition, partition.state.take_snapshots())
            partition.cut_offset, partition.cut_at = partition.next_offset, now
            outputs, partition.unconfirmed = partition.unconfirmed, []
            records = partition.state.take_checkpoint(partition.next_offset)
            cuts.append(Cut(partition, partition.next_offset, outputs, records))
        return cuts

    async def _write(self, partition: Partition, records: Sequence[ChangelogRecord]) -> None:
        for base, count in await self._effects.write_changelog(partition.number, records):
            if base != partition.changelog_end:
                raise ForeignWriterError(
                    f"changelog partition {partition.number}: a record got offset {base} where {partition.changelog_end} "
                    "was next, so another worker writes to it. This one stops; the next start reads both"
                )
            partition.changelog_end += count

    def _lose(self, reason: str) -> None:
        self._partitions.drop()
        self._effects.rejoin(reason)
