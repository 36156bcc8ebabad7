import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.delivery.dead_share import LEAST_SEEN, NEVER, WINDOW, DeadShare


def share_of(*batches: tuple[int, int], limit: float = 0.5) -> DeadShare:
    share = DeadShare(limit)
    for seen, dead in batches:
        share.add(seen, dead)
    return share


@pytest.mark.parametrize(
    ("batches", "too_large"),
    [
        ([], False),
        ([(99, 99)], False),  # too few to judge
        ([(100, 50)], False),  # half is not more than half
        ([(100, 51)], True),
        ([(1, 1)] * 99, False),
        ([(1, 1)] * 100, True),
        ([(1_000, 0), (100, 100)], False),
        ([(1, 0)] * 1_000 + [(1, 1)] * 500, False),
        ([(1, 0)] * 1_000 + [(1, 1)] * 501, True),
        ([(1, 1)] * 400 + [(1, 0)] * 1_000, False),  # long ago
        ([(5_000, 600)], False),  # a batch larger than the window is judged as a whole
        ([(5_000, 2_501)], True),
        ([(0, 0)], False),
    ],
)
def test_more_than_half_of_the_latest_thousand_and_of_a_hundred_at_least(
    batches: list[tuple[int, int]], too_large: bool
) -> None:
    assert share_of(*batches).too_large is too_large


def test_the_limit_is_what_was_set_and_1_turns_it_off() -> None:
    assert share_of((1_000, 11), limit=0.01).too_large
    assert not share_of((1_000, 10), limit=0.01).too_large
    assert share_of((100, 1), limit=0.0).too_large
    assert not share_of((5_000, 5_000), limit=NEVER).too_large


@given(st.lists(st.booleans(), max_size=3 * WINDOW), st.floats(0, 1))
def test_record_by_record_it_is_the_share_of_the_last_thousand(records: list[bool], limit: float) -> None:
    share = share_of(*((1, int(dead)) for dead in records), limit=limit)
    window = records[-WINDOW:]
    assert (share.seen, share.dead) == (len(window), sum(window))
    assert share.too_large == (len(window) >= LEAST_SEEN and sum(window) > limit * len(window))


batches = st.lists(
    st.integers(0, 700).flatmap(lambda seen: st.tuples(st.just(seen), st.integers(0, seen))), max_size=30
)


@given(batches, st.floats(0, 1))
def test_in_batches_it_judges_the_newest_of_them_that_make_a_thousand(
    given_: list[tuple[int, int]], limit: float
) -> None:
    share = share_of(*given_, limit=limit)
    seen = dead = 0
    for size, bad in reversed(given_):
        if seen >= WINDOW:
            break
        seen, dead = seen + size, dead + bad
    assert (share.seen, share.dead) == (seen, dead)


@given(batches)
def test_with_a_limit_of_1_it_is_never_too_large(given_: list[tuple[int, int]]) -> None:
    assert not share_of(*given_, limit=NEVER).too_large


def test_the_reason_is_one_line_with_the_share_the_letter_and_what_to_do() -> None:
    text = share_of((100, 60)).why_it_stops("worker.dead_letter_share", "events/0/7", "bad_avro", "a\nb" + "c" * 999)
    assert "\n" not in text
    assert text.startswith("60 of the latest 100 records became dead letters, more than worker.dead_letter_share = 0.5")
    assert "the newest: events/0/7: bad_avro: a b" in text
    assert "start again" in text
    assert "worker.dead_letter_share = 1.0" in text
    assert len(text) < 800
