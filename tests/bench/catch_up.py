"""A worker process that finds a backlog: how long it takes for it, and where the time goes."""

import asyncio
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from processors.active_model import ActiveModel
from processors.model_log import model_activated, read_model_record
from processors.models import load_shipped
from processors.row_store import RowStore
from schemas.codec import HEADER_BYTES, kind_of
from schemas.rows import pack_row
from streams.engine.worker import Worker
from streams.metrics import PrometheusMetrics
from streams.model_records import first_models
from streams.parts import make_worker
from streams.scoring_state import ScoringState
from streams.settings.brokers import read_brokers
from streams.settings.config import Settings, topics_of
from tests.bench.setup import PARTITIONS


@dataclass(frozen=True)
class Cost:
    """Of a stretch of work; `cpu_seconds` of the whole process, all threads, user and system."""

    events: int
    seconds: float
    cpu_seconds: float

    @classmethod
    def so_far(cls, events: int) -> "Cost":
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return cls(events, time.perf_counter(), usage.ru_utime + usage.ru_stime)

    def __sub__(self, other: "Cost") -> "Cost":
        return Cost(self.events - other.events, self.seconds - other.seconds, self.cpu_seconds - other.cpu_seconds)

    @property
    def events_per_second(self) -> float:
        return self.events / self.seconds

    @property
    def cpu_us_per_event(self) -> float:
        return self.cpu_seconds / self.events * 1e6


def work(settings: Settings, events: int, report: Any) -> None:
    """Run a worker; report the cost from its first folded batch to the commit of event number `events`."""
    worker = _make(settings)
    raise SystemExit(worker.run(lambda: _measure(worker, events, lambda: None, report)))


def work_split(settings: Settings, events: int, report: Any) -> None:
    """As `work`, with timers around whole batches: reports the cost, and the CPU seconds of each part."""
    split: dict[str, float] = {}
    _put_timers(split)
    worker = _make(settings)

    def parts() -> dict[str, float]:
        return dict(split)

    raise SystemExit(worker.run(lambda: _measure(worker, events, parts, report)))


def serve(settings: Settings, report: Any) -> None:
    """Run a worker until SIGTERM; report when it is ready."""
    worker = _make(settings)

    async def tell() -> None:
        await _until(lambda: bool(worker.health()["ready"]))
        report.put("ready")

    raise SystemExit(worker.run(tell))


def _make(settings: Settings) -> Worker:
    models = asyncio.run(first_models(read_brokers(settings.kafka), topics_of(settings), PARTITIONS))
    return make_worker(settings, PARTITIONS, models, PrometheusMetrics())


async def _measure(worker: Worker, events: int, parts: Callable[[], Any], report: Any) -> None:
    partitions = worker.partitions
    await _until(lambda: partitions.events_total > 0)
    start, start_parts = Cost.so_far(partitions.events_total), parts()
    await _until(lambda: partitions.events_total >= events)
    while any(partition.next_offset != partition.committed_offset for partition in partitions):
        await worker.checkpoint()  # at once, as the stock agent commits; its timer would add half a second of waiting
    cost, end_parts = Cost.so_far(partitions.events_total) - start, parts()
    report.put(cost if end_parts is None else (cost, {part: end_parts[part] - start_parts[part] for part in end_parts}))
    worker.request_stop()


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - the worker has no event for it
        await asyncio.sleep(0.002)


def _put_timers(split: dict[str, float]) -> None:
    """CPU of the worker's thread in each call of `ScoringState`, per batch, so that the timers cost nothing.

    Decoding, and the reading and writing of rows, happen inside the fold: here every batch is decoded, and its rows are
    unpacked and packed, once more before it is folded, and that time is taken off the fold.
    """
    active = ActiveModel(read_model_record(model_activated(load_shipped("reference"), 1)["body"]), 1, 0)
    split |= dict.fromkeys(("decode", "fold", "outputs", "rows"), 0.0)
    fold, snapshots, checkpoint = ScoringState.fold, ScoringState.take_snapshots, ScoringState.take_checkpoint

    def timed(part: str, run: Callable[[], Any]) -> Any:
        start = time.thread_time()
        found = run()
        split[part] += time.thread_time() - start
        return found

    def decoded(records: Sequence[Any]) -> None:
        for record in records:
            if kind_of(record.value) == "TrackedEvent":
                active.project(record.value, HEADER_BYTES)

    def opened(rows: RowStore, keys: Sequence[bytes]) -> None:
        for key in keys:
            row = rows.read(key)
            if row is not None:
                pack_row(row.version, row.wake_at, row.model_stamp, row.row)

    def timed_fold(self: ScoringState, records: Sequence[Any]) -> Any:
        before = split["decode"] + split["rows"]
        timed("decode", lambda: decoded(records))
        keys = list(dict.fromkeys(record.key for record in records))
        timed("rows", lambda: opened(self._fold.rows, keys))
        split["fold"] -= split["decode"] + split["rows"] - before
        return timed("fold", lambda: fold(self, records))

    def timed_snapshots(self: ScoringState) -> Any:
        return timed("outputs", lambda: snapshots(self))

    def timed_checkpoint(self: ScoringState, next_offset: int) -> Any:
        return timed("rows", lambda: checkpoint(self, next_offset))

    # A process of its own, so nobody else meets the timed methods.
    ScoringState.fold = timed_fold  # type: ignore[method-assign]  # a method of ours in place of its own
    ScoringState.take_snapshots = timed_snapshots  # type: ignore[method-assign]  # a method of ours in place of its own
    ScoringState.take_checkpoint = timed_checkpoint  # type: ignore[method-assign]  # a method of ours in place of its own
