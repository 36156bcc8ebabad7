"""The verdict of a chaos run finds what it is there to find. Made-up histories; no process runs."""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from processors.fold_partition import PartitionFold
from processors.model import event_from_fields
from processors.model_log import model_activated
from schemas.codec import decode, encode
from schemas.keys import CONTROL_KEY
from tests.chaos import check
from tests.chaos.check import Verdict
from tests.chaos.outer_world import Delivery, OuterWorld
from tests.chaos.site import MODEL
from tests.processors.history import Logged

START_MS = 1_772_442_000_000
LEADS = ("1ada", "1bob")


@dataclass
class Topics:
    events: list[Any]
    transitions: list[Any]
    scores: dict[str, int]
    world: OuterWorld


def _record(logged: Logged) -> Any:
    return SimpleNamespace(partition=0, offset=logged.offset, key=logged.key, value=logged.value)


@pytest.fixture
def topics() -> Topics:
    """25 views of two leads, one of them repeated, and what a worker makes of them."""
    log = [Logged(0, START_MS, CONTROL_KEY, encode("ModelActivated", model_activated(MODEL, 1)))]
    for number in range(25):
        for lead in LEADS:
            event = event_from_fields({"event": "page_view"}, START_MS + number)
            event["event_id"] = f"view-{number}"
            for _ in range(2 if number == 3 else 1):
                encoded = encode("TrackedEvent", event)
                log.append(Logged(len(log), START_MS + number, lead.encode(), encoded))
    fold = PartitionFold("events", 0, 1)
    sent = [one for one in fold.fold(log) if one.kind == "StageTransition"]
    transitions = [SimpleNamespace(partition=0, offset=number, value=one.value) for number, one in enumerate(sent)]
    world = OuterWorld()
    for one in sent:
        value: Any = decode(one.value or b"")[1]
        place = (value["lead_key"], value["epoch"], value["offset"], value["index"])
        world.deliveries.append(Delivery(value["id"], *place, one.value or b""))
    return Topics([_record(each) for each in log], transitions, dict.fromkeys(LEADS, 25), world)


def judged(topics: Topics) -> Verdict:
    verdict = Verdict()
    log = check._counted(topics.events)
    check._check_transitions(verdict, log, topics.transitions)
    check._check_scores(verdict, log, topics.scores, "somewhere")
    check._check_webhook(verdict, SimpleNamespace(world=topics.world), log)  # type: ignore[arg-type]  # all it needs
    return verdict


def test_a_true_history_is_ok(topics: Topics) -> None:
    verdict = judged(topics)
    assert (verdict.word, verdict.less) == ("OK", [])
    assert len(topics.transitions) == 4  # reader and fan, of two leads


def _changed_transition(topics: Topics) -> None:
    first = topics.transitions[0]
    value: Any = decode(first.value)[1]
    topics.transitions.append(
        SimpleNamespace(partition=0, offset=9, value=encode("StageTransition", value | {"raw": 1.5}))
    )


def _invented_transition(topics: Topics) -> None:
    value: Any = decode(topics.transitions[0].value)[1]
    invented = encode("StageTransition", value | {"id": "x", "offset": 2, "seq": 3})
    topics.transitions.append(SimpleNamespace(partition=0, offset=9, value=invented))


@pytest.mark.parametrize(
    "harm",
    [
        lambda topics: topics.transitions.pop(1),
        _changed_transition,
        _invented_transition,
        lambda topics: topics.scores.update({"1ada": 24}),
        lambda topics: topics.scores.update({"1ada": 26}),
        lambda topics: topics.scores.pop("1bob"),
        lambda topics: topics.world.deliveries.pop(),
        lambda topics: topics.world.deliveries.reverse(),
    ],
    ids=[
        "a transition is missing", "a byte is changed", "a transition is invented", "a view is lost", "a view counts twice",
        "a score is missing", "a delivery is missing", "deliveries in the wrong order",
    ],
)  # fmt: skip
def test_what_is_wrong_is_found(topics: Topics, harm: Callable[[Topics], object]) -> None:
    harm(topics)
    assert judged(topics).word == "LESS"


def test_a_repeated_delivery_is_told_and_allowed(topics: Topics) -> None:
    topics.world.deliveries.append(topics.world.deliveries[0])
    verdict = judged(topics)
    assert (verdict.word, dict(verdict.more)) == ("MORE", {"webhook": 1})
