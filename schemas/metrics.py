"""Every metric that leaves a process: its name, kind, labels, help text. Base units; bounded labels.

`streams/metrics.py` turns the table into Prometheus metrics, `docs/metrics.md` is generated from it, and a name that is
not in `MetricName` does not type-check.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["counter", "gauge", "histogram"]

MetricName = Literal[
    "leadstream_collector_events_total",
    "leadstream_collector_requests_total",
    "leadstream_collector_ack_seconds",
    "leadstream_worker_records_total",
    "leadstream_worker_batch_records",
    "leadstream_worker_changelog_records_total",
    "leadstream_worker_checkpoint_age_seconds",
    "leadstream_worker_checkpoint_seconds",
    "leadstream_worker_fold_seconds",
    "leadstream_worker_lag_records",
    "leadstream_worker_partitions",
    "leadstream_worker_recovery_seconds",
    "leadstream_worker_ticks_total",
]


@dataclass(frozen=True, slots=True)
class Metric:
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


RECORDS = (1, 10, 100, 500, 1_000, 2_000, 5_000)
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10)

METRICS: dict[MetricName, Metric] = {
    "leadstream_collector_events_total": Metric(
        "counter", "Events that reached the collector, by what became of them.", ("outcome",)
    ),
    "leadstream_collector_requests_total": Metric(
        "counter", "HTTP requests to the collector, by route and status.", ("route", "status")
    ),
    "leadstream_collector_ack_seconds": Metric(
        "histogram", "From the first byte of a request to the broker's acknowledgement.", (), SECONDS
    ),
    "leadstream_worker_records_total": Metric(
        "counter", "Records of the events topic that were folded, by outcome.", ("outcome",)
    ),
    "leadstream_worker_batch_records": Metric("histogram", "Records folded in one go.", (), RECORDS),
    "leadstream_worker_changelog_records_total": Metric("counter", "Rows written to the changelog."),
    "leadstream_worker_checkpoint_age_seconds": Metric(
        "gauge", "Since when folded records wait for a completed checkpoint; 0 if none waits."
    ),
    "leadstream_worker_checkpoint_seconds": Metric(
        "histogram", "From the cut of a checkpoint to its committed offset.", (), SECONDS
    ),
    "leadstream_worker_fold_seconds": Metric("histogram", "Fold of one batch.", (), SECONDS),
    "leadstream_worker_lag_records": Metric("gauge", "Records in the log that are not folded yet.", ("partition",)),
    "leadstream_worker_partitions": Metric("gauge", "Partitions owned by this worker."),
    "leadstream_worker_recovery_seconds": Metric(
        "histogram", "Rebuild of the memory of newly assigned partitions.", (), SECONDS
    ),
    "leadstream_worker_ticks_total": Metric("counter", "Ticks written to the events topic."),
}


class Metrics(Protocol):
    """What code that measures itself is handed."""

    def count(self, name: MetricName, amount: float = 1, **labels: str) -> None: ...
    def observe(self, name: MetricName, value: float, **labels: str) -> None: ...
    def set(self, name: MetricName, value: float, **labels: str) -> None: ...
