import re
import shutil
import subprocess
from pathlib import Path

import pytest

from schemas.metrics import METRICS, MetricName
from streams.metrics import PrometheusMetrics, document

COMPONENTS = "collector|worker|sink|alerts|leads|verify"
UNITS = ("seconds", "records", "partitions", "leads", "bytes", "ratio", "timestamp_seconds", "events", "differences")
STATES = ("leadstream_sink_circuit_open", "leadstream_verify_equal")  # a gauge of 0 or 1 has no unit


@pytest.mark.parametrize("name", METRICS)
def test_every_name_follows_the_grammar(name: MetricName) -> None:
    metric = METRICS[name]
    assert re.fullmatch(rf"leadstream_({COMPONENTS})(_[a-z]+)+", name)
    assert name.endswith("_total") == (metric.kind == "counter")
    assert metric.kind == "counter" or name.endswith(UNITS) or name in STATES
    assert metric.help.endswith(".")
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert not {"lead", "lead_key", "id", "email"} & set(metric.labels)


def test_every_name_of_the_type_is_in_the_table() -> None:
    assert set(MetricName.__args__) == set(METRICS)  # type: ignore[attr-defined]  # a Literal has them


def test_what_is_counted_observed_and_set_shows_on_the_page() -> None:
    metrics = PrometheusMetrics()
    metrics.count("leadstream_sink_retries_total", 2, sink="redis")
    metrics.set("leadstream_sink_lag_records", 7, sink="redis")
    metrics.observe("leadstream_collector_ack_seconds", 0.04)
    page, content_type = metrics.render()
    assert b'leadstream_sink_retries_total{sink="redis"} 2.0' in page
    assert b'leadstream_sink_lag_records{sink="redis"} 7.0' in page
    assert b'leadstream_collector_ack_seconds_bucket{le="0.05"} 1.0' in page
    assert content_type.startswith("text/plain")
    assert metrics.value("leadstream_sink_retries_total", sink="redis") == 2
    assert metrics.value("leadstream_sink_retries_total", sink="webhook") is None


def test_a_label_that_is_not_in_the_table_is_refused() -> None:
    metrics = PrometheusMetrics()
    with pytest.raises(ValueError, match=r"has the labels \['sink'\], not \['lead', 'sink'\]"):
        metrics.count("leadstream_sink_retries_total", sink="redis", lead="1abc")
    with pytest.raises(ValueError, match=r"not \[\]"):
        metrics.count("leadstream_sink_retries_total")
    with pytest.raises(KeyError):
        metrics.count("leadstream_made_up_total")  # type: ignore[arg-type]  # no such name type-checks


def test_a_metric_is_used_as_what_it_is() -> None:
    metrics = PrometheusMetrics()
    with pytest.raises(TypeError, match="no gauge"):
        metrics.set("leadstream_sink_retries_total", 1, sink="redis")
    with pytest.raises(TypeError, match="no counter"):
        metrics.count("leadstream_sink_lag_records", sink="redis")
    with pytest.raises(TypeError, match="no histogram"):
        metrics.observe("leadstream_sink_lag_records", 1, sink="redis")


def test_two_sets_of_metrics_share_nothing() -> None:
    one, other = PrometheusMetrics(), PrometheusMetrics()
    one.count("leadstream_sink_retries_total", sink="redis")
    assert other.value("leadstream_sink_retries_total", sink="redis") is None


def test_the_documentation_of_the_metrics_is_fresh() -> None:
    written = Path("docs/metrics.md").read_text("utf-8")
    assert written == document(), "run: python -m streams.metrics > docs/metrics.md"


def test_promtool_finds_no_fault_in_the_page() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("NOT CHECKED BY PROMTOOL: install the Debian package `prometheus`")
    metrics = PrometheusMetrics(METRICS)
    for name, metric in METRICS.items():
        labels = dict.fromkeys(metric.labels, "x")
        if metric.kind == "counter":
            metrics.count(name, 1, **labels)
        elif metric.kind == "gauge":
            metrics.set(name, 1, **labels)
        else:
            metrics.observe(name, 1, **labels)
    done = subprocess.run([promtool, "check", "metrics"], input=metrics.render()[0], capture_output=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")
