from typing import cast

import pytest

from processors.active_model import ActiveModel
from processors.model_log import pack_model, read_model_record
from processors.models import load_shipped
from processors.play import Play
from schemas.codec import decode
from schemas.records import StageTransition, TrackedEvent
from streams.announced_exit import AnnouncedExits, announced_exit
from streams.clock import DAY_MS
from streams.embedded.process import free_port
from streams.kafka.brokers import Brokers
from streams.kafka.topics import Topics
from tests.brokers import Broker
from tests.streams.scored_log import ScoredLog

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


async def _rise(log: ScoredLog, lead: str) -> StageTransition:
    """The move to MQL of a lead that becomes one now."""
    key = f"1{lead}".encode()
    known = {"traits.email": f"{lead}@bank.example", "traits.email_kind": "business"}
    await log.act(key, event="identify", **known, **{"traits.title": "CTO", "traits.employees": "1200"})
    await log.act(key, event="event_attended", title="Data Summit")
    await log.act(key, event="download", asset="whitepaper")
    await log.act(key, url="https://www.acme.example/pricing")
    await log.work()
    records = [each for number in range(2) for each in await log.records(log.topics.transitions, number)]
    moves = [cast("StageTransition", decode(each.value)[1]) for each in records if each.key == key]
    [rise] = [move for move in moves if move["to_stage"] == "mql"]
    return rise


async def test_the_model_is_read_from_the_log_and_again_when_a_newer_one_has_moved_a_lead(
    broker: Broker, prefix: str
) -> None:
    first = load_shipped("reference")
    second = first.replace("exit: {score: below 40}", "exit: {score: below 50}")
    exits = AnnouncedExits(broker.at, Topics(prefix))
    stays_ms = []
    async with ScoredLog.start(broker, Topics(prefix), model=first) as log:
        for n, model in enumerate((first, second), 1):
            if n > 1:
                await log.activate(model, n)
            rise = await _rise(log, f"lead{n}")
            assert rise["model"]["n"] == n
            until = await exits.of(rise)
            assert until is not None
            assert until == announced_exit(rise, ActiveModel(read_model_record(pack_model(model)), n, 0))
            stays_ms.append(until - rise["at"])
    assert stays_ms[0] > stays_ms[1] > DAY_MS, "a higher bound is crossed sooner"


async def test_while_no_broker_answers_nothing_is_announced(caplog: pytest.LogCaptureFixture) -> None:
    [rise, *_] = [move for move in _moves("event_attended", "download") if move["to_stage"] == "mql"]
    nobody = f"127.0.0.1:{free_port()}"
    exits = AnnouncedExits(Brokers(nobody), Topics())
    assert [await exits.of(rise), await exits.of(rise)] == [None, None]
    assert [each.message for each in caplog.records if each.name == "streams.announced_exit"] == [
        f"alerts do not say when leads cool down: the model cannot be read (nothing listens on {nobody})"
    ], "asked once, not at every alert"
