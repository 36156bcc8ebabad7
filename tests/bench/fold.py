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
from schemas.keys import CONTROL_KEY, partition_of
from tests.bench.setup import PARTITIONS, show
from tests.bench.traffic import START_MS, BenchRecord, records

EVENTS, LEADS, DAYS, BATCH = 60_000, 10_000, 30.0, 2_000


async def run() -> None:
    log = records(EVENTS, LEADS, DAYS)
    by_partition = [[r for r in log if partition_of(r.key, PARTITIONS) == number] for number in range(PARTITIONS)]
    folds = [PartitionFold("events", number, PARTITIONS) for number in range(PARTITIONS)]
    model = encode("ModelActivated", model_activated(load_shipped("reference"), 1))
    for fold in folds:
        fold.fold([BenchRecord(-1, START_MS, CONTROL_KEY, model)])
    active = folds[0].models.newest
    assert active is not None
    gc.set_threshold(500_000, 20, 100)  # as the worker sets it
    decode_us = _timed(lambda: deque((active.project(r.value, HEADER_BYTES) for r in log), maxlen=0))
    fold_us = _timed(lambda: _fold_in_turns(folds, by_partition))
    rows = [(fold.rows, fold.rows.all_keys()) for fold in folds]
    leads = sum(len(keys) for _, keys in rows)
    snapshot_us = _timed(lambda: [fold.take_snapshots() for fold in folds]) * EVENTS / leads
    row_us = _timed(lambda: _open_and_close(rows)) * EVENTS / leads
    sizes = sorted(len(store.packed(key) or b"") for store, keys in rows for key in keys)
    show(
        f"Fold of {EVENTS:,} events of {leads:,} leads over {DAYS:g} days in {PARTITIONS} partitions, CPU us",
        {
            "decode": f"{decode_us:6.1f} per event",
            "fold": f"{fold_us:6.1f} per event, with decode, prices, stages, transitions and rows",
            "snapshot": f"{snapshot_us:6.1f} per lead",
            "row": f"{row_us:6.1f} per lead, unpacked and packed",
            "rows": f"median {sizes[leads // 2]:,} bytes, largest {sizes[-1]:,}",
        },
    )


def _fold_in_turns(folds: list[PartitionFold], by_partition: list[list[BenchRecord]]) -> None:
    """Batch by batch, as a worker gets them."""
    for start in range(0, max(map(len, by_partition)), BATCH):
        for fold, log in zip(folds, by_partition, strict=True):
            fold.fold(log[start : start + BATCH])


def _open_and_close(rows: list[tuple[RowStore, list[bytes]]]) -> None:
    for store, keys in rows:
        for key in keys:
            opened = store.read(key)
            assert opened is not None
            store.write(key, opened)


def _timed(run: object) -> float:
    start = time.process_time()
    run()  # type: ignore[operator]  # any callable
    return (time.process_time() - start) / EVENTS * 1e6


if __name__ == "__main__":
    asyncio.run(run())
