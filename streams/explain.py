"""What one act scores by itself: for `model explain`, `?explain=1` and the page of `up`."""

from typing import TypedDict

from processors.active_model import ActiveModel
from processors.fold_lead import CHANGED, Outcome, fold_event, new_row
from processors.model import ScoringModel
from processors.moves import Cause
from processors.price import Price
from schemas.records import Part, TrackedEvent


class Explanation(TypedDict):
    event: str
    outcome: str  # folded, foreign_host, bot, late
    rules: list[str]
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
        tags=sorted({tag for hit in cause.hits for tag in hit.tags}),
        score=price.score,
        receipt=price.receipt() if outcome in CHANGED else [],
        stage=row.stage,
    )
