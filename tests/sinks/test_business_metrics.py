import pytest

from sinks.business_metrics import FLAP_MS, MAX_LEADS, MAX_STAGES, BusinessMetrics
from tests.sinks.memory import CountedMetrics
from tests.sinks.records import MARCH_2, delivery, transition

TRANSITIONS = "leadstream_leads_transitions_total"
FLAPS = "leadstream_leads_flaps_total"


@pytest.fixture
def metrics() -> CountedMetrics:
    return CountedMetrics()


@pytest.fixture
def sink(metrics: CountedMetrics) -> BusinessMetrics:
    return BusinessMetrics(metrics)


async def test_transitions_and_alerts_are_counted(sink: BusinessMetrics, metrics: CountedMetrics) -> None:
    await sink.deliver([delivery(transition(), 0), delivery(transition(alert=None), 1)])
    assert metrics.counts[TRANSITIONS, "lead", "mql", "up", "act"] == 2
    assert metrics.counts["leadstream_leads_alerts_total", "mql"] == 1


async def test_a_redelivered_record_counts_once(sink: BusinessMetrics, metrics: CountedMetrics) -> None:
    batch = [delivery(transition(), 0), delivery(transition(), 0, partition=1), delivery(transition(), 1)]
    await sink.deliver(batch)
    await sink.deliver(batch)
    assert metrics.counts[TRANSITIONS, "lead", "mql", "up", "act"] == 3


@pytest.mark.parametrize(
    ("after_ms", "from_stage", "flaps"),
    [(0, "mql", 1), (FLAP_MS, "mql", 1), (FLAP_MS + 1, "mql", 0), (0, "recycled", 0)],
)
async def test_a_lead_that_falls_within_a_day_out_of_a_stage_it_rose_to_flaps(
    sink: BusinessMetrics, metrics: CountedMetrics, after_ms: int, from_stage: str, flaps: int
) -> None:
    down = transition(direction="down", from_stage=from_stage, to_stage="lead", at=MARCH_2 + after_ms)
    await sink.deliver([delivery(transition(), 0), delivery(down, 1), delivery(down, 2)])
    assert metrics.counts[FLAPS, from_stage, "lead"] == flaps


async def test_no_label_grows_without_bound(sink: BusinessMetrics, metrics: CountedMetrics) -> None:
    odd = [transition(from_stage=f"s{i}", to_stage="x", cause=f"c{i}", direction=f"d{i}") for i in range(200)]
    await sink.deliver([delivery(move, i) for i, move in enumerate(odd)])
    labels = [labels for name, *labels in metrics.counts if name == TRANSITIONS]
    assert len({from_stage for from_stage, *_ in labels}) == MAX_STAGES  # "x" and "other" among them
    assert {tuple(rest[1:]) for _, *rest in labels} == {("other", "other")}


async def test_the_leads_remembered_are_bounded(sink: BusinessMetrics) -> None:
    move = transition()
    many = ({**move, "lead_key": f"1{i}"} for i in range(MAX_LEADS + 5))
    await sink.deliver([delivery(each, i) for i, each in enumerate(many)])
    assert len(sink._ups) == MAX_LEADS
