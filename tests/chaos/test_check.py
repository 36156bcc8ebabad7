"""The verdict of a chaos run finds what it is there to find: a row for each claim of README.md. Made up; no process runs."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from processors.fold_partition import PartitionFold
from processors.model import event_from_fields
from processors.model_log import model_activated
from schemas.codec import decode, encode
from schemas.keys import CONTROL_KEY
from sinks.webhook_body import webhook_body
from tests.chaos.check import MOST_VIEWS, Run, Verdict, verdict_of
from tests.chaos.evidence import Evidence, Record
from tests.chaos.outer_world import Delivery
from tests.chaos.site import MODEL
from tests.processors.history import Logged

START_MS = 1_772_442_000_000


@dataclass
class Site:
    """What is left of a run, and what was done in it."""

    evidence: Evidence
    run: Run

    @property
    def verdict(self) -> Verdict:
        return verdict_of(self.evidence, self.run)


def made(views: dict[str, int]) -> Site:
    """So many views of each lead, one of them repeated, and garbage; and what a worker and its sinks make of them."""
    log = [Logged(0, START_MS, CONTROL_KEY, encode("ModelActivated", model_activated(MODEL, 1)))]
    for lead, number in ((lead, number) for lead, count in views.items() for number in range(count)):
        event = event_from_fields({"event": "page_view"}, START_MS + number)
        event["event_id"] = f"view-{number}"
        for _ in range(2 if number == 4 else 1):  # the one that moves its lead
            log.append(Logged(len(log), START_MS + number, f"1{lead}".encode(), encode("TrackedEvent", event)))
    log += [Logged(len(log) + n, START_MS + 99, b"1ada", value) for n, value in enumerate((b"", b"{broken", None))]
    fold = PartitionFold("events", 0, 1)
    sent = fold.fold(log)
    of = {kind: [one.value for one in sent if one.kind == kind] for kind in ("StageTransition", "DeadLetter")}
    scores = [one.value for one in fold.take_snapshots()]
    snapshots: list[Any] = [decode(value or b"")[1] for value in scores]
    transitions: list[Any] = [decode(value or b"")[1] for value in of["StageTransition"]]
    evidence = Evidence(
        accepted={(lead, f"view-{number}") for lead, count in views.items() for number in range(count)},
        events=[Record("events", 0, each.offset, each.key, each.value) for each in log],
        transitions=_topic("transitions", of["StageTransition"]),
        scores=_topic("scores", scores),
        letters=_topic("letters", of["DeadLetter"]),
        in_redis={each["lead_key"]: value or b"" for each, value in zip(snapshots, scores, strict=True)},
        deliveries=[Delivery(each["id"], webhook_body(each) or b"") for each in transitions],
    )
    return Site(evidence, Run(faults={"worker_killed": 1}, verify={"equal": 2}, complaints=set()))


def _topic(name: str, values: list[bytes | None]) -> list[Record]:
    return [Record(name, 0, offset, None, value) for offset, value in enumerate(values)]


@pytest.fixture
def site() -> Site:
    return made({"ada": 25, "bob": 25})


def test_a_true_history_is_ok(site: Site) -> None:
    verdict = site.verdict
    assert (verdict.word, verdict.less) == ("OK", [])
    assert verdict.numbers == {
        "views in the log": 50, "leads beyond the bound": 0, "moves": 4, "transitions sent again": 0,  # reader, fan
        "dead letters": 3, "webhook deliveries": 4,
    }  # fmt: skip


def test_what_comes_twice_and_may_is_told_and_allowed(site: Site) -> None:
    site.evidence.transitions.append(site.evidence.transitions[0])
    site.evidence.letters.append(site.evidence.letters[0])
    site.evidence.deliveries.append(site.evidence.deliveries[0])
    verdict = site.verdict
    assert (verdict.word, verdict.less, verdict.more) == ("MORE", [], {"webhook": 1})
    assert verdict.numbers["transitions sent again"] == 1


def test_a_row_takes_two_thousand_views_and_not_one_more() -> None:
    full = made({"ada": MOST_VIEWS + 5})
    assert (full.verdict.word, full.verdict.less) == ("OK", [])
    assert full.verdict.numbers["leads beyond the bound"] == 1
    _rescored(full.evidence.scores, "1ada", MOST_VIEWS + 5)
    assert full.verdict.less == [
        f"1ada has {MOST_VIEWS + 5} points on the scores topic; its log has {MOST_VIEWS + 5} views"
    ]


# --- what is wrong, each in its own way ---


def _changed(record: Record, **fields: Any) -> Record:
    kind, value = decode(record.value or b"")
    changed: dict[str, Any] = {**value, **fields}
    return replace(record, value=encode(kind, changed))


def _rescored(records: list[Record], lead: str, views: int) -> None:
    for number, record in enumerate(records):
        kind, value = decode(record.value or b"")
        if kind == "LeadSnapshot" and value["lead_key"] == lead:
            first, *others = [units for units in value["units"] if units["rule"] == "view"]
            count = views - sum(units["count"] for units in others)
            records[number] = _changed(record, units=[{**first, "count": count}, *others])


def _rescored_in_redis(evidence: Evidence, lead: str, views: int, as_lead: str | None = None) -> None:
    records = [Record("", 0, 0, None, evidence.in_redis[lead])]
    _rescored(records, lead, views)
    evidence.in_redis[as_lead or lead] = records[0].value or b""


def _invented_score(evidence: Evidence) -> None:
    evidence.scores.append(_changed(evidence.scores[-1], lead_key="1eve"))


def _older_score_comes_last(evidence: Evidence) -> None:
    """As one that was late does; the newest one has to be the right one."""
    right = evidence.scores[-1]
    value: Any = decode(right.value or b"")[1]
    _rescored(evidence.scores, value["lead_key"], 24)
    evidence.scores.append(_changed(right, offset=1))


def _numbered(evidence: Evidence, *numbers: int) -> None:
    """The first transitions, and their deliveries."""
    for at, seq in enumerate(numbers):
        evidence.transitions[at] = _changed(evidence.transitions[at], seq=seq)
        value: Any = decode(evidence.transitions[at].value or b"")[1]
        evidence.deliveries[at] = Delivery(value["id"], webhook_body(value) or b"")


def _sent(evidence: Evidence, **fields: Any) -> None:
    """One transition more, as the first one but for this, and its delivery."""
    more = _changed(evidence.transitions[0], **fields)
    value: Any = decode(more.value or b"")[1]
    evidence.transitions.append(more)
    evidence.deliveries.insert(1, Delivery(value["id"], webhook_body(value) or b""))


def _unsent(evidence: Evidence) -> None:
    """The last transition of a lead, on its topic and at the webhook."""
    del evidence.transitions[-1], evidence.deliveries[-1]


def _told(evidence: Evidence, number: int, **fields: Any) -> None:
    """A delivery whose body has this."""
    body = json.loads(evidence.deliveries[number].body)
    body["data"].update(fields)
    evidence.deliveries[number] = Delivery(evidence.deliveries[number].id, json.dumps(body).encode())


WRONG: dict[str, tuple[Callable[[Evidence], object], str]] = {
    # every accepted view is in the log
    "an accepted view is lost": (lambda e: e.accepted.add(("ada", "view-99")), "view view-99 of ada was accepted and is not in"),
    "all views of a lead are lost": (lambda e: e.accepted.add(("eve", "view-1")), "view view-1 of eve was accepted and is not in"),
    # every lead has as many points as the log has different views of it
    "a view does not count": (lambda e: _rescored(e.scores, "1ada", 24), "1ada has 24 points on the scores topic"),
    "a view counts twice": (lambda e: _rescored(e.scores, "1ada", 26), "1ada has 26 points on the scores topic"),
    "a lead has no score": (lambda e: e.scores.clear(), "1ada has 0 points on the scores topic"),
    "a score is invented": (_invented_score, "1eve has 25 points on the scores topic; its log has 0 views"),
    "the newest score is wrong": (_older_score_comes_last, "has 24 points on the scores topic"),
    "a view does not count in Redis": (lambda e: _rescored_in_redis(e, "1ada", 24), "1ada has 24 points in Redis"),
    "a view counts twice in Redis": (lambda e: _rescored_in_redis(e, "1ada", 26), "1ada has 26 points in Redis"),
    "a lead is not in Redis": (lambda e: e.in_redis.pop("1bob"), "1bob has 0 points in Redis"),
    "a lead in Redis is invented": (lambda e: _rescored_in_redis(e, "1ada", 25, "1eve"), "1eve has 25 points in Redis"),
    # the transitions are those that the log gives, with one id and one set of bytes each and numbered without holes
    "a transition is missing": (_unsent, "no transition ('1bob', 0,"),
    "a transition is invented": (lambda e: _sent(e, id="x", offset=2), "a transition that the log does not give"),
    "a transition is of another stage": (lambda e: _sent(e, id="x", to_stage="friend"), "a transition that the log does not give"),
    "a transition has two ids": (lambda e: _sent(e, id="x"), "has several ids"),
    "a byte of a repeat is changed": (lambda e: e.transitions.append(_changed(e.transitions[0], raw=1.5)), "came with different bytes"),
    "numbers begin at 2": (lambda e: _numbered(e, 2, 3), "the transitions of 1ada are numbered [2, 3]"),
    "numbers have a hole": (lambda e: _numbered(e, 1, 3), "the transitions of 1ada are numbered [1, 3]"),
    "a number comes twice": (lambda e: _numbered(e, 1, 1), "the transitions of 1ada are numbered [1, 1]"),
    "numbers go back": (lambda e: _numbered(e, 2, 1), "the transitions of 1ada are numbered [2, 1]"),
    # every transition reached the webhook, as it is, in the order of its lead
    "a delivery is missing": (lambda e: e.deliveries.pop(), "did not reach the webhook"),
    "a delivery is invented": (lambda e: e.deliveries.append(replace(e.deliveries[-1], id="x")), "webhook x is no transition"),
    "another was delivered in its place": (lambda e: e.deliveries.append(replace(e.deliveries.pop(), id="x")), "did not reach the webhook"),
    "a delivery says something else": (lambda e: _told(e, 0, to_stage="fan"), "does not say what the transition says"),
    "a repeat has other bytes": (lambda e: e.deliveries.append(replace(e.deliveries[-1], body=e.deliveries[-1].body + b" ")), "came with different bytes"),
    "deliveries in the wrong order": (lambda e: e.deliveries.reverse(), "went back from"),
    # every useless record is a dead letter, and nothing else is
    "a letter is missing": (lambda e: e.letters.pop(), "is no event, and has no dead letter"),
    "a letter too many": (lambda e: e.letters.append(_changed(e.letters[0], id="events/0/2")), "dead letter events/0/2 is of no useless record"),
    "a letter for another": (lambda e: e.letters.append(_changed(e.letters.pop(), id="events/0/2")), "is no event, and has no dead letter"),
    "a letter holds another value": (lambda e: e.letters.append(_changed(e.letters[1], value=b"{")), "does not hold what stands there"),
    "a letter holds another key": (lambda e: e.letters.append(_changed(e.letters[1], key=b"1bob")), "does not hold what stands there"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_found(site: Site, name: str) -> None:
    harm, complaint = WRONG[name]
    harm(site.evidence)
    assert site.verdict.word == "LESS"
    assert [line for line in site.verdict.less if complaint in line], site.verdict.less


IDLE: dict[str, tuple[Callable[[Site], object], str]] = {
    "no fault": (lambda site: site.run.__setattr__("faults", {}), "nothing was shown: no fault was done"),
    "no view": (lambda site: site.evidence.accepted.clear(), "nothing was shown: no view was accepted"),
    "no verify": (lambda site: site.run.__setattr__("verify", {"broker away": 3}), "nothing was shown: no `verify` found all equal"),
    "a complaint": (lambda site: site.run.complaints.add("verify ended with 1"), "verify ended with 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", IDLE)
def test_a_run_that_showed_nothing_or_whose_faults_complain_is_not_ok(site: Site, name: str) -> None:
    harm, complaint = IDLE[name]
    harm(site)
    assert (site.verdict.word, site.verdict.less) == ("LESS", [complaint])
