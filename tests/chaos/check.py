"""The verdict of a run. It shares no code with the product but the codecs: what must hold is worked out here, by counting.

With the model of the chaos a view is a point that never fades, so a lead's score is the number of different ids among its
views in the log, and it moves up at its 5th, 20th and 60th. Pure: `evidence.py` reads, this judges.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.codec import UndecodableError, decode
from tests.chaos.evidence import Evidence, Record

ENTERED_AT = {5: "reader", 20: "fan", 60: "friend"}
# A row takes 4,000 acts and hits (docs/adr/0011-rows-are-bounded-in-bytes.md); a view is one of each.
MOST_VIEWS = 2_000
Move = tuple[str, int, int, str]  # lead key, partition, offset, stage


@dataclass
class Run:
    """What was done, and what was found meanwhile. `verify`: what it came to -> how often; `complaints`: of faults."""

    faults: Mapping[str, int]
    verify: Mapping[str, int]
    complaints: set[str]


@dataclass
class Verdict:
    """`less`: lost, wrong, or nothing shown. `more`: repeats, which only the webhook may have, with the same id and bytes."""

    less: list[str]
    more: dict[str, int]
    numbers: dict[str, int]

    @property
    def word(self) -> str:
        if self.less:
            return "LESS"
        return "MORE" if self.more else "OK"


@dataclass
class _Log:
    views: dict[str, dict[str, None]] = field(default_factory=dict)  # lead key -> different ids, in order
    moves: list[Move] = field(default_factory=list)
    useless: dict[str, Record] = field(default_factory=dict)  # records that are no events, by id


def verdict_of(evidence: Evidence, run: Run) -> Verdict:
    log = _counted(evidence.events)
    again = len(evidence.deliveries) - len({each.id for each in evidence.deliveries})
    return Verdict(
        less=[*wrong_in(evidence), *sorted(run.complaints), *_nothing_shown(evidence, run)],
        more={"webhook": again} if again else {},
        numbers={
            "views in the log": sum(map(len, log.views.values())),
            "leads beyond the bound": sum(len(views) > MOST_VIEWS for views in log.views.values()),
            "moves": len(log.moves),
            "transitions sent again": len(evidence.transitions) - len(_first_bytes(evidence.transitions)),
            "dead letters": len(log.useless),
            "webhook deliveries": len(evidence.deliveries),
        },
    )


def wrong_in(evidence: Evidence) -> list[str]:
    """What is lost or wrong, a line each."""
    log = _counted(evidence.events)
    in_redis = {lead: _views(decode(body)[1]) for lead, body in evidence.in_redis.items()}
    return [
        *_lost(evidence.accepted, log),
        *_wrong_transitions(evidence.transitions, log),
        *_wrong_numbers(evidence.transitions),
        *_wrong_scores(_newest_scores(evidence.scores), log, "on the scores topic"),
        *_wrong_scores(in_redis, log, "in Redis"),
        *_wrong_letters(evidence.letters, log),
        *_wrong_deliveries(evidence),
        *_deliveries_out_of_order(evidence),
    ]


def _nothing_shown(evidence: Evidence, run: Run) -> Iterator[str]:
    done = {
        "no fault was done": sum(run.faults.values()),
        "no view was accepted": len(evidence.accepted),
        "no `verify` found all equal": run.verify.get("equal", 0),
    }
    yield from (f"nothing was shown: {what}" for what, times in done.items() if not times)


def _counted(records: list[Record]) -> _Log:
    log = _Log()
    for record in records:
        try:
            kind, value = decode(record.value or b"")
        except UndecodableError:
            log.useless[record.id] = record
            continue
        if kind != "TrackedEvent":
            continue
        lead = (record.key or b"").decode()
        views = log.views.setdefault(lead, {})
        if value["event_id"] in views:
            continue
        views[value["event_id"]] = None
        if (stage := ENTERED_AT.get(len(views))) is not None:
            log.moves.append((lead, record.partition, record.offset, stage))
    return log


def _lost(accepted: set[tuple[str, str]], log: _Log) -> Iterator[str]:
    for lead, event in sorted(accepted):
        if event not in log.views.get(f"1{lead}", ()):
            yield f"view {event} of {lead} was accepted and is not in the log"


def _wrong_transitions(records: list[Record], log: _Log) -> Iterator[str]:
    first = _first_bytes(records)
    ids: dict[Move, set[str]] = defaultdict(set)
    for record in records:
        value: Any = decode(record.value or b"")[1]
        if first[value["id"]] != record.value:
            yield f"transition {value['id']} came with different bytes"
        ids[value["lead_key"], record.partition, value["offset"], value["to_stage"]].add(value["id"])
    yield from (f"no transition {move}" for move in log.moves if move not in ids)
    yield from (f"a transition that the log does not give: {move}" for move in ids.keys() - set(log.moves))
    yield from (f"{move} has several ids: {sorted(each)}" for move, each in ids.items() if len(each) > 1)


def _wrong_numbers(records: list[Record]) -> Iterator[str]:
    """`seq` counts the transitions of a lead in the order of the log."""
    numbers: dict[str, dict[tuple[int, int], int]] = defaultdict(dict)
    for record in records:
        value: Any = decode(record.value or b"")[1]
        numbers[value["lead_key"]][value["offset"], value["index"]] = value["seq"]
    for lead, by_place in numbers.items():
        found = [by_place[place] for place in sorted(by_place)]
        if found != list(range(1, len(found) + 1)):
            yield f"the transitions of {lead} are numbered {found}"


def _first_bytes(records: list[Record]) -> dict[str, bytes]:
    """Id of a transition -> its bytes when it came first."""
    first: dict[str, bytes] = {}
    for record in records:
        value: Any = decode(record.value or b"")[1]
        first.setdefault(value["id"], record.value or b"")
    return first


def _newest_scores(records: list[Record]) -> dict[str, int]:
    newest: dict[str, tuple[tuple[int, int], int]] = {}
    for record in records:
        kind, value = decode(record.value or b"")
        if kind == "LeadSnapshot":
            entry = ((value["epoch"], value["offset"]), _views(value))
            newest[value["lead_key"]] = max(newest.get(value["lead_key"], entry), entry)
    return {lead: views for lead, (_, views) in newest.items()}


def _views(snapshot: dict[str, Any]) -> int:
    return sum(units["count"] for units in snapshot["units"] if units["rule"] == "view")


def _wrong_scores(scores: dict[str, int], log: _Log, where: str) -> Iterator[str]:
    for lead in sorted(log.views.keys() | scores.keys()):
        views, points = len(log.views.get(lead, ())), scores.get(lead, 0)
        if points != min(views, MOST_VIEWS):
            yield f"{lead} has {points} points {where}; its log has {views} views"


def _wrong_letters(records: list[Record], log: _Log) -> Iterator[str]:
    letters: dict[str, Any] = {}
    for record in records:
        letter: Any = decode(record.value or b"")[1]
        letters[letter["id"]] = letter
        useless = log.useless.get(letter["id"])
        if useless is None:
            yield f"dead letter {letter['id']} is of no useless record"
        elif (letter["key"], letter["value"]) != (useless.key, useless.value):
            yield f"dead letter {letter['id']} does not hold what stands there"
    yield from (f"{id_} is no event, and has no dead letter" for id_ in log.useless if id_ not in letters)


def _wrong_deliveries(evidence: Evidence) -> Iterator[str]:
    transitions: dict[str, Any] = {id_: decode(body)[1] for id_, body in _first_bytes(evidence.transitions).items()}
    first: dict[str, bytes] = {}
    for each in evidence.deliveries:
        if first.setdefault(each.id, each.body) != each.body:
            yield f"webhook {each.id} came with different bytes"
    for id_, body in first.items():
        if id_ not in transitions:
            yield f"webhook {id_} is no transition"
        elif json.loads(body)["data"] != _as_told(transitions[id_]):
            yield f"webhook {id_} does not say what the transition says"
    yield from (f"transition {id_} did not reach the webhook" for id_ in transitions if id_ not in first)


def _as_told(transition: dict[str, Any]) -> dict[str, Any]:
    """In the body of a webhook: all but whom the model alerts. Receipts of the chaos are so short that none is cut."""
    return {name: value for name, value in transition.items() if name != "alert"} | {"receipt_lines_left_out": 0}


def _deliveries_out_of_order(evidence: Evidence) -> Iterator[str]:
    seen, last_of = set[str](), dict[str, tuple[int, int, int]]()
    for each in evidence.deliveries:
        if each.id in seen:
            continue
        seen.add(each.id)
        data = json.loads(each.body)["data"]
        lead, place = data["lead_key"], (data["epoch"], data["offset"], data["index"])
        if place < last_of.get(lead, place):
            yield f"webhook: {lead} went back from {last_of[lead]} to {place}"
        last_of[lead] = place
