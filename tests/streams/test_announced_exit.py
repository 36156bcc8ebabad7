import pytest

from processors.active_model import ActiveModel
from processors.model_log import pack_model, read_model_record
from processors.models import load_shipped
from processors.play import Play
from schemas.records import StageTransition, TrackedEvent
from streams.announced_exit import announced_exit
from streams.clock import DAY_MS

START_MS = 1_772_409_600_000
KEY = b"1ada"


def _event(event_id: str, kind: str, at: int, **more: object) -> TrackedEvent:
    event: TrackedEvent = {
        "event_id": event_id,
        "type": kind,
        "occurred_at": at,
        "received_at": at,
        "flags": {"bot": False, "late": False, "clamped": False},
        "traits": {"email": "ada@bank.example", "title": "CTO", "employees": 1200, "country": "CN"},
        "email_kind": "business",
        "email_domain": "bank.example",
        "anonymous_id": "ada",
    }
    event.update(more)  # type: ignore[typeddict-item]  # fields of the same record
    return event


def _moves(*kinds: str) -> list[StageTransition]:
    """Acts at one instant, then sixty days of silence."""
    play = Play(load_shipped("reference"))
    at = START_MS
    for number, kind in enumerate(kinds):
        play.take(KEY, "TrackedEvent", _event(f"e{number}", kind, at, asset="demo"), at)
    for day in range(1, 60):
        play.advance(START_MS + day * DAY_MS)
    assert play.outcomes["folded"] == len(kinds)
    return play.transitions[KEY]


def _active() -> ActiveModel:
    return ActiveModel(read_model_record(pack_model(load_shipped("reference"))), 1, 0)


@pytest.mark.parametrize(
    "acts",
    [
        pytest.param(["event_attended", "download"], id="it fades"),
        pytest.param(["event_attended", "form_submitted"], id="it is idle"),
    ],
)
def test_a_lead_falls_at_the_second_that_its_rise_announced(acts: list[str]) -> None:
    moves = _moves(*acts)
    rise = next(move for move in moves if move["to_stage"] == "mql")
    fall = next(move for move in moves if move["from_stage"] == "mql")
    announced = announced_exit(rise, _active())
    assert rise["cause_event_id"] == f"e{len(acts) - 1}"  # nothing came after it
    assert announced is not None
    assert abs(fall["at"] - announced) <= 1_000


def test_a_stage_without_an_exit_announces_none() -> None:
    [known] = [move for move in _moves("download") if move["to_stage"] == "lead"]
    assert announced_exit(known, _active()) is None
