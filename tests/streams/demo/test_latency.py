import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.demo.latency import Outage, Quantiles, Samples, ScoreWatch, quantiles

LEAD, OTHER = b"1lead", b"1other"


@pytest.mark.parametrize(
    ("latencies_ms", "p50", "p99"),
    [([5], 5, 5), ([1, 2], 1, 2), ([3, 1, 2], 2, 3), (list(range(1, 101)), 50, 99), (list(range(1, 201)), 100, 198)],
)
def test_quantiles_are_by_nearest_rank(latencies_ms: list[int], p50: int, p99: int) -> None:
    assert quantiles(latencies_ms) == Quantiles(p50, p99, len(latencies_ms))


def test_nothing_measured_has_no_quantile() -> None:
    assert quantiles([]) == Quantiles(None, None, 0)


@given(st.lists(st.integers(0, 10_000), min_size=1))
def test_no_more_than_a_hundredth_is_above_the_p99(latencies_ms: list[int]) -> None:
    p99 = quantiles(latencies_ms).p99
    assert p99 is not None
    assert sum(latency > p99 for latency in latencies_ms) <= len(latencies_ms) / 100


def _watch() -> tuple[ScoreWatch, Samples]:
    samples = Samples(Outage())
    return ScoreWatch(samples), samples


def test_an_event_waits_for_a_snapshot_that_knows_it() -> None:
    watch, samples = _watch()
    watch.event(LEAD, 10, sent_at=100)
    watch.snapshot(LEAD, 9, seen_at=110)
    watch.snapshot(OTHER, 12, seen_at=115)
    assert (watch.waiting, samples.running) == (1, [])
    watch.snapshot(LEAD, 10, seen_at=140)
    assert (watch.waiting, samples.running) == (0, [40])


def test_one_snapshot_ends_the_wait_of_all_events_that_it_knows() -> None:
    watch, samples = _watch()
    for offset, sent_at in ((1, 100), (2, 110), (5, 150)):
        watch.event(LEAD, offset, sent_at)
    watch.snapshot(LEAD, 3, seen_at=160)
    assert (watch.waiting, samples.running) == (1, [60, 50])
    assert list(watch.waiting_since()) == [150]


def test_a_snapshot_may_be_seen_before_its_event() -> None:
    watch, samples = _watch()
    watch.snapshot(LEAD, 4, seen_at=130)
    watch.snapshot(LEAD, 6, seen_at=150)
    watch.event(LEAD, 4, sent_at=100)
    watch.event(LEAD, 5, sent_at=105)
    assert (watch.waiting, samples.running) == (0, [30, 45])


def test_what_was_seen_early_is_forgotten_when_the_events_are_read_so_far() -> None:
    watch, samples = _watch()
    watch.snapshot(LEAD, 4, seen_at=130)
    watch.read_to(4)
    watch.event(LEAD, 5, sent_at=140)
    assert (watch.waiting, samples.running) == (1, [])


@given(st.permutations([("event", n) for n in range(6)] + [("snapshot", n) for n in range(6)]))
def test_every_event_gets_one_latency_in_whatever_order_both_are_seen(order: list[tuple[str, int]]) -> None:
    watch, samples = _watch()
    events = iter(range(6))  # of one partition: they come in order
    for kind, number in order:
        if kind == "event":
            offset = next(events)
            watch.event(LEAD, offset, sent_at=0)
        else:
            watch.snapshot(LEAD, number, seen_at=1)
    watch.snapshot(LEAD, 6, seen_at=1)
    assert (watch.waiting, len(samples.running)) == (0, 6)


@pytest.mark.parametrize(
    ("sent_at", "seen_at", "delayed"),
    [(10, 90, False), (90, 110, True), (150, 260, True), (190, 300, True), (200, 260, False)],
)
def test_what_waited_for_the_next_worker_says_nothing_of_a_running_one(
    sent_at: int, seen_at: int, delayed: bool
) -> None:
    samples = Samples(Outage(killed_at=100, caught_up_at=200))
    samples.add(sent_at, seen_at)
    assert (len(samples.delayed), len(samples.running)) == ((1, 0) if delayed else (0, 1))


def test_until_somebody_caught_up_everything_is_delayed() -> None:
    samples = Samples(Outage(killed_at=100))
    samples.add(500, 600)
    assert samples.delayed == [100]
