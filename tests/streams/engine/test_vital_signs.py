from dataclasses import dataclass
from unittest.mock import Mock

from streams.engine.verdict import Vitals
from streams.engine.vital_signs import VitalSigns
from tests.sinks.memory import CountedMetrics


@dataclass
class Owned:
    number: int
    lag: int
    highwater: int = 0


class LastOf(CountedMetrics):
    """Keeps the gauges of each label apart."""

    def set(self, name: str, value: float, **labels: str) -> None:
        self.gauges[" ".join([name, *labels.values()])] = value


def test_a_partition_that_another_worker_has_lags_no_more_in_our_metrics() -> None:
    metrics, partitions = LastOf(), [Owned(0, 7), Owned(1, 9)]
    thread = Mock()
    thread.fetched_at.return_value = 1.0
    signs = VitalSigns(Vitals(), partitions, Mock(), Mock(), metrics, events_topic="events")  # type: ignore[arg-type]  # all that is looked at
    app = Mock(consumer=Mock(thread=thread))
    signs._read_partitions(app)
    partitions.pop(0)
    signs._read_partitions(app)
    lags = {name: value for name, value in metrics.gauges.items() if "lag_records" in name}
    assert lags == {"leadstream_worker_lag_records 0": 0, "leadstream_worker_lag_records 1": 9}
