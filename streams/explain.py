"""What one act scores by itself: for `model explain`, `?explain=1` and the page of `up`."""

from typing import TypedDict

from processors.active_model import ActiveModel
from processors.fold_lead import CHANGED, Outcome, fold_event, new_row
from processors.model import ScoringModel
from processors.model.conditions import ActCondition
from processors.moves import Cause
from processors.price import Price
from schemas.nearest import nearest
from schemas.records import Part, TrackedEvent

_ALIKE = 0.75  # page_left is another name than page_view, pageview and page_veiw are not


class Explanation(TypedDict):
    event: str
    outcome: str  # folded, foreign_host, bot, late
    rules: list[str]
    hint: str  # why it fits no rule, where its name says so; else empty
    tags: list[str]
    score: float
    receipt: list[Part]  # empty where the act does not count
    stage: str


def explain_event(scoring: ScoringModel, event: TrackedEvent) -> Explanation:
    """What the act does to an empty row, at its own time; nothing, if it is a bot's or came in late."""
    at = event["occurred_at"] or event.get("received_at") or 0
    active = ActiveModel(scoring, n=1, at=at)
    row, cause = new_row(at, active), Cause(b"1explain", (1, 1), at)
    outcome: Outcome = "late" if event["flags"]["late"] else fold_event(row, event, cause, active)
    price = Price(row, active, row.now)
    return Explanation(
        event=event["type"],
        outcome=outcome,
        rules=[hit.rule.id for hit in cause.hits],
        hint="" if cause.hits or outcome not in CHANGED else unknown_event(scoring, event["type"]),
        tags=sorted({tag for hit in cause.hits for tag in hit.tags}),
        score=price.score,
        receipt=price.receipt() if outcome in CHANGED else [],
        stage=row.stage,
    )


def unknown_event(scoring: ScoringModel, name: str) -> str:
    """`no rule names the event "pageview"; the nearest name is "page_view"`; empty where a rule names it, or may by a
    pattern.
    """
    named = set[str]()
    for rule in scoring.rules:
        if rule.event_types is not None:
            named |= rule.event_types
        elif isinstance(rule.test, ActCondition) and "event" in rule.test.fields:
            return ""
    if name in named:
        return ""
    near = nearest(name, sorted(named), _ALIKE)
    return f'no rule names the event "{name}"' + (f'; the nearest name is "{near}"' if near else "")
