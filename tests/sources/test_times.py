import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.times import LATE_MS, MAX_FUTURE_MS, occurred_at, parse_time_ms

NOW = 1_772_442_000_000  # 2026-03-02T09:00:00Z


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-03-02T09:00:00Z", NOW),
        ("2026-03-02T09:00:00.250Z", NOW + 250),
        ("2026-03-02T17:00:00+08:00", NOW),
        ("2026-03-02T09:00:00", NOW),
        (" 2026-03-02T09:00:00.000000+00:00 ", NOW),
        (NOW, NOW),
        (NOW / 1000, NOW),
        ("yesterday", None),
        ("0001-01-01T00:00:00+14:00", -62_135_647_200_000),
        ("9" * 100, None),
        (True, None),
        (1e300, None),
        (None, None),
        ({}, None),
    ],
)
def test_times_are_read_in_the_forms_that_clients_send(value: object, expected: int | None) -> None:
    assert parse_time_ms(value) == expected


@pytest.mark.parametrize(
    ("said", "sent", "expected"),
    [
        (None, None, (NOW, False, False)),
        (NOW - 1000, None, (NOW - 1000, False, False)),
        # a client whose clock is a day ahead: a second passed between the act and the sending
        (NOW + 86_400_000 - 1000, NOW + 86_400_000, (NOW - 1000, False, False)),
        # a client whose clock is years behind
        ("1999-01-01T00:00:00Z", "1999-01-01T00:00:10Z", (NOW - 10_000, False, False)),
        (NOW + MAX_FUTURE_MS, None, (NOW + MAX_FUTURE_MS, False, False)),
        (NOW + MAX_FUTURE_MS + 1, None, (NOW, False, True)),
        ("2031-01-01", None, (NOW, False, True)),
        ("not a time", None, (NOW, False, True)),
        (NOW - LATE_MS, None, (NOW - LATE_MS, False, False)),
        (NOW - LATE_MS - 1, None, (NOW - LATE_MS - 1, True, False)),
        # sent before it happened: the difference says nothing good, so the bound decides
        (NOW, NOW - 3_600_000, (NOW, False, True)),
        (NOW - 1000, "not a time", (NOW - 1000, False, False)),
    ],
)
def test_an_act_is_placed_by_the_receivers_clock(said: object, sent: object, expected: tuple[int, bool, bool]) -> None:
    assert occurred_at(said, sent, NOW) == expected


@given(st.one_of(st.text(), st.floats(), st.integers(), st.none()), st.one_of(st.text(), st.floats(), st.integers()))
def test_no_time_lies_in_the_future_and_none_is_lost(said: object, sent: object) -> None:
    at, late, clamped = occurred_at(said, sent, NOW)
    assert at <= NOW + MAX_FUTURE_MS
    assert late == (at < NOW - LATE_MS)
    assert not clamped or at == NOW
