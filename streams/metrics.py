"""The metrics table of `schemas/metrics.py` in Prometheus, on a registry of its own; and the documentation of the table.

`python -m streams.metrics` prints docs/metrics.md.
"""

from collections.abc import Callable, Collection
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, write_to_textfile
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from schemas.metrics import METRICS, OF_VERIFY, Metric, MetricName

_KINDS: dict[str, Callable[..., Counter | Gauge | Histogram]] = {
    "counter": Counter,
    "gauge": Gauge,
    "histogram": Histogram,
}


class PrometheusMetrics:
    """Implements `schemas.metrics.Metrics`. Each of `names` exists from the start.

    Raises, from each method:
        KeyError: the name is not one of them. ValueError: the labels are not those of the table.
        TypeError: the metric is of another kind.
    """

    def __init__(self, names: Collection[MetricName] = METRICS.keys() - OF_VERIFY) -> None:
        self._registry = CollectorRegistry(auto_describe=True)
        self._metrics = {name: _register(name, METRICS[name], self._registry) for name in METRICS if name in names}

    def count(self, name: MetricName, amount: float = 1, **labels: str) -> None:
        metric = self._labelled(name, labels)
        if not isinstance(metric, Counter):
            raise TypeError(f"{name} is no counter")
        metric.inc(amount)

    def observe(self, name: MetricName, value: float, **labels: str) -> None:
        metric = self._labelled(name, labels)
        if not isinstance(metric, Histogram):
            raise TypeError(f"{name} is no histogram")
        metric.observe(value)

    def set(self, name: MetricName, value: float, **labels: str) -> None:
        metric = self._labelled(name, labels)
        if not isinstance(metric, Gauge):
            raise TypeError(f"{name} is no gauge")
        metric.set(value)

    def render(self) -> tuple[bytes, str]:
        """The page of /metrics and its content type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    def write(self, path: Path) -> None:
        """Replace a file by the page of /metrics, for the textfile collector of Prometheus' node exporter.

        Raises:
            OSError: it cannot be written.
        """
        write_to_textfile(str(path), self._registry)

    def value(self, name: MetricName, **labels: str) -> float | None:
        """What a counter or gauge shows; None before its labels were first used."""
        return self._registry.get_sample_value(name, labels)

    def _labelled(self, name: MetricName, labels: dict[str, str]) -> Counter | Gauge | Histogram:
        wanted = METRICS[name].labels
        if set(labels) != set(wanted):
            raise ValueError(f"{name} has the labels {list(wanted)}, not {sorted(labels)}")
        metric = self._metrics[name]
        return metric.labels(**labels) if labels else metric


def _register(name: MetricName, metric: Metric, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    buckets = {"buckets": metric.buckets} if metric.kind == "histogram" else {}
    return _KINDS[metric.kind](name, metric.help, metric.labels, registry=registry, **buckets)


def document() -> str:
    """docs/metrics.md."""
    lines = [
        "# Metrics",
        "",
        "Every part serves these on `/metrics`; those of `verify` stand in the file that `leadstream verify --textfile`",
        "writes. Names follow `leadstream_<component>_<what>_<unit>`, counters end in",
        "`_total`, units are base units, and no label holds a lead or any other value without a bound.",
        "",
        "Written by `python -m streams.metrics` from `schemas/metrics.py`; a test fails when it is stale.",
        "",
        "| Metric | Kind | Labels | Meaning |",
        "|---|---|---|---|",
    ]
    for name, metric in METRICS.items():
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        lines.append(f"| `{name}` | {metric.kind} | {labels} | {metric.help} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(document(), end="")  # noqa: T201 - the document is the output
