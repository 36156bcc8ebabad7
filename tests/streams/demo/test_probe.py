from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition

from processors.active_model import ActiveModel
from processors.model_log import pack_model, read_model_record
from processors.models import load_shipped
from processors.play import Play
from schemas.codec import encode
from schemas.records import LeadSnapshot, TrackedEvent
from streams.clock import DAY_MS
from streams.demo.latency import Outage
from streams.demo.probe import Probe
from streams.demo.run import START_MS
from streams.kafka.brokers import Brokers
from streams.kafka.topics import Topics

TOPICS = Topics()
LEAD = b"1visitor"
EVENTS, SCORES = TopicPartition(TOPICS.events, 0), TopicPartition(TOPICS.scores, 0)
TRANSITIONS = TopicPartition(TOPICS.transitions, 0)


@dataclass
class Record:
    """As much of aiokafka's record as the probe reads."""

    offset: int
    value: bytes | None
    timestamp: int = START_MS
    key: bytes = LEAD
    headers: tuple[tuple[str, bytes], ...] = ()


def _probe() -> Probe:
    active = ActiveModel(read_model_record(pack_model(load_shipped("reference"))), 1, START_MS)
    return Probe(Brokers("nowhere:9092"), TOPICS, 1, active, now_ms=lambda: 0, outage=Outage())


def _event(offset: int, event_id: str, sent_at: int | None, *, bot: bool = False, age_ms: int = 0) -> Record:
    event: TrackedEvent = {
        "event_id": event_id,
        "type": "page_view",
        "occurred_at": START_MS - age_ms,
        "received_at": START_MS,
        "flags": {"bot": bot, "late": False, "clamped": False},
    }
    headers = () if sent_at is None else (("sent_at_ms", str(sent_at).encode()),)
    return Record(offset, encode("TrackedEvent", event), headers=headers)


def _snapshot(offset: int, stage: str = "visitor") -> Record:
    snapshot: LeadSnapshot = {
        "lead_key": LEAD.decode(),
        "epoch": 1,
        "offset": offset,
        "at": START_MS,
        "model": {"n": 1, "name": "m", "version": "v"},
        "stage": stage,
        "entered_at": START_MS,
        "cool_until": 0,
        "seq": 0,
        "prev": "",
        "score": 1.0,
        "raw": 1.0,
        "fit": 0.0,
        "grade": "D4",
        "known": False,
        "units": [],
        "traits": {},
        "first_touch": None,
        "last_touch": None,
        "first_at": None,
        "last_at": None,
        "visits": 1,
    }
    return Record(0, encode("LeadSnapshot", snapshot))


def _tell(probe: Probe, place: TopicPartition, *records: Any, seen_at: int = 0) -> None:
    probe._take(place, list(records), seen_at)


def test_the_latency_of_an_event_ends_with_the_snapshot_that_knows_it() -> None:
    probe = _probe()
    _tell(probe, EVENTS, _event(7, "a", 1_000))
    assert probe.waiting == 1
    _tell(probe, SCORES, _snapshot(7), seen_at=1_042)
    assert (probe.waiting, probe.scores.running) == (0, [42])
    assert probe.ends == {EVENTS: 8}


def test_bots_repeats_and_late_events_wait_for_no_score() -> None:
    probe = _probe()
    _tell(
        probe,
        EVENTS,
        _event(1, "a", 1_000),
        _event(2, "a", 1_000),
        _event(3, "b", 1_000, bot=True),
        _event(4, "c", 1_000, age_ms=8 * DAY_MS),
    )
    assert probe.waiting == 1
    assert probe.events == {"a": 2, "b": 1, "c": 1}


def test_an_event_of_somebody_else_is_counted_and_not_measured() -> None:
    probe = _probe()
    _tell(probe, EVENTS, _event(1, "a", None))
    assert (probe.waiting, probe.events["a"]) == (0, 1)


def test_a_lead_counts_in_the_stage_of_its_newest_snapshot() -> None:
    probe = _probe()
    _tell(probe, SCORES, _snapshot(5, "lead"), _snapshot(3, "visitor"))
    assert probe.leads_by_stage() == {"lead": 1}
    _tell(probe, SCORES, Record(1, None))
    assert probe.leads_by_stage() == {}


def test_a_transition_that_comes_again_after_a_crash_is_one_move() -> None:
    play = Play(load_shipped("reference"))
    event: TrackedEvent = {
        "event_id": "a",
        "type": "form_submitted",
        "occurred_at": START_MS,
        "received_at": START_MS,
        "flags": {"bot": False, "late": False, "clamped": False},
        "asset": "demo",
        "traits": {"email": "ada@bank.example", "title": "CTO"},
        "email_kind": "business",
        "email_domain": "bank.example",
    }
    play.take(LEAD, "TrackedEvent", event, START_MS)
    moves = [Record(n, encode("StageTransition", move)) for n, move in enumerate(play.transitions[LEAD])]
    probe = _probe()
    _tell(probe, TRANSITIONS, *moves, *moves)
    assert [move.to_stage for move in probe.moves.values()] == ["mql"]
