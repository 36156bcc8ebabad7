import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.token_buckets import TokenBuckets

STEPS = st.lists(st.tuples(st.floats(0, 3), st.integers(1, 12)), max_size=60)  # seconds until then, amount


def test_a_burst_passes_and_then_the_rate() -> None:
    buckets = TokenBuckets(per_second=20, burst=200)
    for _ in range(200):
        assert buckets.wait_seconds("a", 1, 0.0) == 0
        buckets.take("a", 1, 0.0)
    assert buckets.wait_seconds("a", 1, 0.0) == pytest.approx(0.05)
    assert buckets.wait_seconds("a", 1, 0.05) == pytest.approx(0)
    assert buckets.wait_seconds("b", 200, 0.0) == 0


@given(STEPS)
def test_no_stretch_of_time_lets_more_pass_than_burst_and_rate(steps: list[tuple[float, int]]) -> None:
    buckets, now, passed = TokenBuckets(per_second=5, burst=12), 0.0, [(0.0, 0)]
    for seconds, amount in steps:
        now += seconds
        if not buckets.wait_seconds("a", amount, now):
            buckets.take("a", amount, now)
            passed.append((now, amount))
    for first, (since, _) in enumerate(passed):
        for last in range(first, len(passed)):
            total = sum(amount for _, amount in passed[first : last + 1])
            assert total <= 12 + 5 * (passed[last][0] - since) + 1e-6


@given(STEPS)
def test_who_comes_again_when_told_passes(steps: list[tuple[float, int]]) -> None:
    buckets, now = TokenBuckets(per_second=5, burst=10), 0.0
    for seconds, amount in steps:
        now += seconds
        now += buckets.wait_seconds("a", amount, now)
        assert buckets.wait_seconds("a", amount, now) < 1e-6
        buckets.take("a", amount, now)


def test_what_is_larger_than_a_bucket_passes_when_it_is_full_and_is_paid_off() -> None:
    buckets = TokenBuckets(per_second=20, burst=200)
    assert buckets.wait_seconds("a", 2_500, 0.0) == 0
    buckets.take("a", 2_500, 0.0)
    assert buckets.wait_seconds("a", 1, 0.0) == pytest.approx(2_301 / 20)
    assert buckets.wait_seconds("a", 2_500, 125.0) == pytest.approx(0)


@given(st.lists(st.integers(0, 30), max_size=200))
def test_memory_is_bounded_and_who_came_last_is_remembered(names: list[int]) -> None:
    buckets = TokenBuckets(per_second=1, burst=1, max_buckets=5)
    for now, name in enumerate(names):
        buckets.take(name, 1, now / 1_000)
        assert len(buckets) <= 5
    for name in list(dict.fromkeys(reversed(names)))[:5]:
        assert buckets.wait_seconds(name, 1, len(names) / 1_000) > 0


def test_a_clock_that_stands_or_goes_back_gives_nothing() -> None:
    buckets = TokenBuckets(per_second=1, burst=1)
    buckets.take("a", 1, 10.0)
    assert buckets.wait_seconds("a", 1, 10.0) == buckets.wait_seconds("a", 1, 5.0) == 1
