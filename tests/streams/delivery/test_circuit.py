from hypothesis import given
from hypothesis import strategies as st

from streams.delivery.circuit import FAILURES_TO_OPEN, OPEN_SECONDS, Circuit


def test_the_circuit_opens_after_five_failures_in_a_row_and_closes_at_a_success() -> None:
    circuit = Circuit()
    assert [circuit.failed(None) for _ in range(FAILURES_TO_OPEN)] == [None, None, None, None, OPEN_SECONDS]
    assert circuit.is_open
    assert circuit.attempt_size(100) == 1
    circuit.succeeded()
    assert not circuit.is_open
    assert circuit.attempt_size(100) == 100


def test_what_the_destination_asks_for_is_never_shortened() -> None:
    circuit = Circuit()
    assert circuit.failed(7.0) == 7.0
    circuit.failures = FAILURES_TO_OPEN
    assert circuit.failed(7.0) == OPEN_SECONDS
    assert circuit.failed(600.0) == 600.0


@given(st.lists(st.sampled_from(["ok", "fail"]), max_size=40))
def test_the_circuit_is_open_exactly_when_the_last_five_attempts_failed(attempts: list[str]) -> None:
    circuit = Circuit()
    for attempt in attempts:
        if attempt == "ok":
            circuit.succeeded()
        else:
            circuit.failed(None)
    assert circuit.is_open == (attempts[-FAILURES_TO_OPEN:] == ["fail"] * FAILURES_TO_OPEN)
