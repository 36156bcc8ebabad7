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
    "leadstream_collector_values_cut_total",
    "leadstream_worker_records_total",
]


@dataclass(frozen=True, slots=True)
class Metric:
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


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
    "leadstream_collector_values_cut_total": Metric(
        "counter", "Properties and traits of accepted events that were shortened or left out as too long or too many."
    ),
    "leadstream_worker_records_total": Metric(
        "counter", "Records of the events topic that were folded, by outcome.", ("outcome",)
    ),
}


class Metrics(Protocol):
    """What code that measures itself is handed."""

    def count(self, name: MetricName, amount: float = 1, **labels: str) -> None: ...
    def observe(self, name: MetricName, value: float, **labels: str) -> None: ...
    def set(self, name: MetricName, value: float, **labels: str) -> None: ...
