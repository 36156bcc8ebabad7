"""CPU microseconds per event of the fold alone, without broker and engine."""

import asyncio
import gc
import time
from collections import deque

from processors.fold_partition import PartitionFold
from processors.model_log import model_activated
from processors.models import load_shipped
from processors.row_store import RowStore
from schemas.codec import HEADER_BYTES, encode
from schemas.keys import CONTROL_KEY
from tests.bench.setup import show
from tests.bench.traffic import START_MS, BenchRecord, records

EVENTS, LEADS, DAYS, BATCH = 60_000, 10_000, 30.0, 2_000


async def run() -> None:
    log = records(EVENTS, LEADS, DAYS)
    fold = PartitionFold("events", 0, 1)
    model = encode("ModelActivated", model_activated(load_shipped("reference"), 1))
    fold.fold([BenchRecord(-1, START_MS, CONTROL_KEY, model)])
    active = fold.models.newest
    assert active is not None
    gc.set_threshold(500_000, 20, 100)  # as the worker sets it
    decode_us = _timed(lambda: deque((active.project(r.value, HEADER_BYTES) for r in log), maxlen=0))
    fold_us = _timed(lambda: [fold.fold(log[i : i + BATCH]) for i in range(0, EVENTS, BATCH)])
    keys = fold.rows.all_keys()
    leads = len(keys)
    snapshot_us = _timed(fold.take_snapshots) * EVENTS / leads
    row_us = _timed(lambda: _open_and_close(fold.rows, keys)) * EVENTS / leads
    sizes = sorted(len(fold.rows.packed(key) or b"") for key in keys)
    show(
        f"Fold of {EVENTS:,} events of {leads:,} leads over {DAYS:g} days, CPU us",
        {
            "decode": f"{decode_us:6.1f} per event",
            "fold": f"{fold_us:6.1f} per event, with decode, prices, stages, transitions and rows",
            "snapshot": f"{snapshot_us:6.1f} per lead",
            "row": f"{row_us:6.1f} per lead, unpacked and packed",
            "rows": f"median {sizes[leads // 2]:,} bytes, largest {sizes[-1]:,}",
        },
    )


def _open_and_close(rows: RowStore, keys: list[bytes]) -> None:
    for key in keys:
        opened = rows.read(key)
        assert opened is not None
        rows.write(key, opened)


def _timed(run: object) -> float:
    start = time.process_time()
    run()  # type: ignore[operator]  # any callable
    return (time.process_time() - start) / EVENTS * 1e6


if __name__ == "__main__":
    asyncio.run(run())
