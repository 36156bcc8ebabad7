"""The state of a lead: bytes of a packed row, memory of a worker that holds many of them, time to recover them.

The rows are those of 500 leads with ten acts each in their window, written to the changelog under 100,000 keys, or as many
as `python -m tests.bench.rows --leads N` says: a row does not contain its key, so this is what so many folded leads would
leave. Where the CPU of a recovery goes is measured in processes of their own: the changelog read and thrown away, its
checksums, its records given to a partition.
"""

import argparse
import asyncio
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiokafka.record.util import calc_crc32c

from processors.fold_partition import PartitionFold
from processors.model_log import model_activated
from processors.models import load_shipped
from schemas.codec import encode
from schemas.keys import CONTROL_KEY, is_lead_key
from streams.engine.reader import LogReader
from streams.engine.settings import EngineSettings
from streams.settings.config import Settings, topics_of
from tests.bench.catch_up import serve
from tests.bench.setup import (
    PARTITIONS,
    append,
    child,
    cpu_seconds,
    kinds,
    machine,
    make_topics,
    rss_mib,
    running_broker,
    settings_for,
    show,
)
from tests.bench.traffic import START_MS, BenchRecord, records

LEADS, KINDS_OF_ROWS, ACTS, DAYS = 100_000, 500, 10, 6.0


@dataclass(frozen=True)
class Started:
    """A worker that has just become ready; `cpu_seconds` of all its threads."""

    mib: float
    seconds: float
    cpu_seconds: float


async def run(leads: int = LEADS) -> None:
    acts = _acts()
    rows, own = _folded(acts)
    sizes = sorted(map(len, rows))
    kind = kinds()[0]
    async with running_broker(kind) as servers:
        empty = await _recovered(kind, servers, "empty.", acts, own=own, rows=[])
        full = await _recovered(kind, servers, "full.", acts, own=own, rows=_log(rows, leads))
        settings = settings_for(servers, "full.", kind, played=True)
        reading = await _alone(_read, settings)
    checksums, restoring = await _alone(_checksums, rows, leads), await _alone(_restore, rows, leads)
    cpu = full.cpu_seconds - empty.cpu_seconds
    show(
        f"Rows with {ACTS} acts in their window",
        {
            "packed row": f"median {sizes[len(sizes) // 2]:,} bytes, largest {sizes[-1]:,}; "
            f"{sum(size < 2048 for size in sizes)} of {len(sizes)} are under 2 kB",
            f"worker with {leads:,} such leads": f"{full.mib:,.0f} MiB resident; {empty.mib:,.0f} MiB with none",
            "per lead": f"{(full.mib - empty.mib) * 2**20 / leads:,.0f} bytes resident",
            "recovery": f"{full.seconds - empty.seconds:.1f} s; ready {full.seconds:.1f} s after the start, "
            f"without rows {empty.seconds:.1f} s",
            "CPU of the recovery": f"{cpu:.1f} s, so {leads / cpu:,.0f} rows/s of a core",
            "alone: changelog read with aiokafka": f"{reading:.1f} s",
            "alone: of that, checksums": f"{checksums:.1f} s",
            "alone: rows and wake-ups of a partition": f"{restoring:.1f} s",
        },
    )


def _log(rows: Sequence[bytes], leads: int) -> Iterator[BenchRecord]:
    for number, row in zip(range(leads), itertools.cycle(rows), strict=False):
        yield BenchRecord(number, START_MS, b"1visitor-%d" % number, row)


def _folded(acts: list[BenchRecord]) -> tuple[list[bytes], list[BenchRecord]]:
    """The packed rows, and what a changelog partition holds beside rows."""
    fold = PartitionFold("events", 0, 1)
    model = encode("ModelActivated", model_activated(load_shipped("reference"), 1))
    first = [encode("Epoch", {"epoch": 1}), model]
    fold.fold([BenchRecord(offset, START_MS, CONTROL_KEY, value) for offset, value in enumerate(first)])
    fold.fold([replace(record, offset=offset) for offset, record in enumerate(acts, start=len(first))])
    written = fold.take_checkpoint(len(first) + len(acts))
    rows = [value for key, value in written if is_lead_key(key) and value is not None]
    own = [BenchRecord(0, START_MS, key, value) for key, value in written if not is_lead_key(key) and value is not None]
    return rows, own


async def _recovered(
    kind: str,
    servers: str,
    prefix: str,
    acts: list[BenchRecord],
    *,
    own: list[BenchRecord],
    rows: Iterable[BenchRecord],
) -> Started:
    """A worker with this changelog."""
    topics = await make_topics(servers, prefix, played=True)
    # So that the log is as long as the rows say.
    for number in range(PARTITIONS):
        await append(servers, topics.events, acts, lambda _, number=number: number)  # type: ignore[misc]  # mypy knows no default here
        await append(servers, topics.rows, own, lambda _, number=number: number)  # type: ignore[misc]  # mypy knows no default here
    await append(servers, topics.rows, rows)
    started = time.monotonic()
    async with child(serve, settings_for(servers, prefix, kind, played=True)) as worker:
        await worker.answer()
        return Started(rss_mib(worker.pid), time.monotonic() - started, cpu_seconds(worker.pid))


async def _alone(target: Callable[..., None], *arguments: object) -> float:
    """CPU seconds that `target` reports, from a process of its own."""
    async with child(target, *arguments) as process:
        seconds: float = await process.answer()
        return seconds


def _read(settings: Settings, report: Any) -> None:
    topics = topics_of(settings)
    reader = LogReader(EngineSettings(settings.kafka.bootstrap_servers, topics.events, topics.rows, ()))

    async def read() -> None:
        async for _ in reader.changelog(range(PARTITIONS)):
            pass

    before = time.process_time()
    asyncio.run(read())
    report.put(time.process_time() - before)


def _checksums(rows: Sequence[bytes], leads: int, report: Any) -> None:
    before = time.process_time()
    for row in itertools.islice(itertools.cycle(rows), leads):
        calc_crc32c(row)
    report.put(time.process_time() - before)


def _restore(rows: Sequence[bytes], leads: int, report: Any) -> None:
    log, fold = list(_log(rows, leads)), PartitionFold("events", 0, 1)
    before = time.process_time()
    for record in log:
        fold.restore(record.key, record.value)
    fold.restored()
    report.put(time.process_time() - before)


def _acts() -> list[BenchRecord]:
    acts = records(KINDS_OF_ROWS * ACTS, 1, DAYS)
    return [replace(record, key=b"1kind-%d" % (number % KINDS_OF_ROWS)) for number, record in enumerate(acts)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bench.rows", description=__doc__)
    parser.add_argument("--leads", type=int, default=LEADS)
    given = parser.parse_args()
    print(machine())
    asyncio.run(run(given.leads))
