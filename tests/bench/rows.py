"""The state of a lead: bytes of a packed row, memory of a worker that holds 100,000 of them, time to recover them.

The rows are those of 500 leads with ten acts each in their window, written to the changelog under 100,000 keys: a row
does not contain its key, so this is what 100,000 folded leads would leave.
"""

import asyncio
import itertools
import time
from dataclasses import replace

from processors.fold_partition import PartitionFold
from processors.model_log import model_activated
from processors.models import load_shipped
from schemas.codec import encode
from schemas.keys import CONTROL_KEY, is_lead_key
from tests.bench.catch_up import serve
from tests.bench.setup import PARTITIONS, append, child, kinds, make_topics, rss_mib, running_broker, settings_for, show
from tests.bench.traffic import START_MS, BenchRecord, records

LEADS, KINDS_OF_ROWS, ACTS, DAYS = 100_000, 500, 10, 6.0


async def run() -> None:
    acts = _acts()
    rows, own = _folded(acts)
    sizes = sorted(map(len, rows))
    keys = [b"1visitor-%d" % number for number in range(LEADS)]
    log = [BenchRecord(0, START_MS, key, row) for key, row in zip(keys, itertools.cycle(rows), strict=False)]
    kind = kinds()[0]
    async with running_broker(kind) as servers:
        empty_mib, empty_seconds = await _recovered(kind, servers, "empty.", acts, own=own, rows=[])
        full_mib, seconds = await _recovered(kind, servers, "full.", acts, own=own, rows=log)
    show(
        f"Rows with {ACTS} acts in their window",
        {
            "packed row": f"median {sizes[len(sizes) // 2]:,} bytes, largest {sizes[-1]:,}; "
            f"{sum(size < 2048 for size in sizes)} of {len(sizes)} are under 2 kB",
            f"worker with {LEADS:,} such leads": f"{full_mib:,.0f} MiB resident; {empty_mib:,.0f} MiB with none",
            "per lead": f"{(full_mib - empty_mib) * 2**20 / LEADS:,.0f} bytes resident",
            "recovery": f"{seconds - empty_seconds:.1f} s; ready {seconds:.1f} s after the start, without rows {empty_seconds:.1f} s",
        },
    )


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
    kind: str, servers: str, prefix: str, acts: list[BenchRecord], *, own: list[BenchRecord], rows: list[BenchRecord]
) -> tuple[float, float]:
    """MiB of a worker with this changelog, and the seconds from its start until it was ready."""
    topics = await make_topics(servers, prefix, played=True)
    # So that the log is as long as the rows say.
    for number in range(PARTITIONS):
        await append(servers, topics.events, acts, lambda _, number=number: number)  # type: ignore[misc]  # mypy knows no default here
        await append(servers, topics.rows, own, lambda _, number=number: number)  # type: ignore[misc]  # mypy knows no default here
    await append(servers, topics.rows, rows)
    started = time.monotonic()
    async with child(serve, settings_for(servers, prefix, kind, played=True)) as worker:
        await worker.answer()
        return rss_mib(worker.pid), time.monotonic() - started


def _acts() -> list[BenchRecord]:
    acts = records(KINDS_OF_ROWS * ACTS, 1, DAYS)
    return [replace(record, key=b"1kind-%d" % (number % KINDS_OF_ROWS)) for number, record in enumerate(acts)]


if __name__ == "__main__":
    asyncio.run(run())
