"""Stage moves: what happens to the row, and the transition that tells of it."""

from dataclasses import dataclass
from hashlib import blake2b

from processors.active_model import ActiveModel
from processors.match_rules import Hit
from processors.model.model import Route, Stage
from processors.price import Price
from processors.take_traits import cut, shown_traits
from processors.touches import MAX_URL_BYTES
from schemas.records import Act, Alert, StageTransition, TrackedEvent
from schemas.rows import Row, Version

MAX_SUBJECT_CHARACTERS = 60
_VIEWS = frozenset({"page_view", "page_left", "screen_view"})


@dataclass(slots=True)
class Cause:
    """The record being folded into a row.

    Attributes:
        version: (epoch, offset) of the record.
        logged_at: its time, ms UTC.
        wake_at: no exit of the row can hold before this instant; 0: nobody knows.
        event, event_id, id8, act_at: the act it tells of, and when that was; empty for ticks and feedback.
        hits: the rules that the act fitted.
        silent: a first load: nobody is told.
        transitions: of this row by this record, in order.
    """

    key: bytes
    version: Version
    logged_at: int
    wake_at: int = 0
    event_id: str = ""
    id8: bytes = b""
    act_at: int = 0
    event: TrackedEvent | None = None
    hits: tuple[Hit, ...] = ()
    silent: bool = False
    transitions: tuple[StageTransition, ...] = ()


def transition_id(key: bytes, version: Version, index: int) -> str:
    """The same record always gives the same id: hash of lead key, epoch, offset and index."""
    epoch, offset = version
    return blake2b(b"%s|%d|%d|%d" % (key, epoch, offset, index), digest_size=16).hexdigest()


def move(row: Row, to: Stage, why: str, cause: Cause, active: ActiveModel) -> None:
    """Move the row to another stage at row time `row.now`, and tell of it.

    `why`: act, decay, inactivity, feedback or model. A move down starts the cooldown of each stage that it leaves or
    passes; the latest end counts.
    """
    index = active.stage_index
    left, reached = row.stage, index[to.id]
    before = index.get(left, 0)
    up = reached > before
    if not up:
        cooldowns = [stage.cooldown_ms for stage in active.model.stages[reached + 1 : before + 1]]
        row.cool_until = max(row.cool_until, row.now + int(max(cooldowns, default=0.0)))
    row.stage, row.entered_at = to.id, row.now
    told = _transition(row, (left, "up" if up else "down"), why, cause, active)
    row.seq, row.prev = told["seq"], told["id"]
    cause.wake_at = 0
    cause.transitions += (told,)


def _transition(row: Row, way: tuple[str, str], why: str, cause: Cause, active: ActiveModel) -> StageTransition:
    left, direction = way
    price = Price(row, active, row.now)
    index = len(cause.transitions)
    tell = not cause.silent and (why != "model" or active.notify)
    return StageTransition(
        id=transition_id(cause.key, cause.version, index),
        prev=row.prev,
        lead_key=cause.key.decode("utf-8", "replace"),
        seq=row.seq + 1,
        epoch=cause.version[0],
        offset=cause.version[1],
        index=index,
        from_stage=left,
        to_stage=row.stage,
        direction=direction,
        at=row.now,
        logged_at=cause.logged_at,
        cause=why,
        cause_event_id=cause.event_id if why == "act" else "",
        score=price.score,
        raw=price.raw,
        fit=price.fit,
        grade=price.grade,
        model=active.ref,
        receipt=price.receipt(),
        fit_receipt=price.fit_receipt(),
        traits=shown_traits(row),
        first_touch=price.first_touch,
        last_touch=price.last_touch,
        act=_act(cause) if why == "act" else None,
        alert=_alert(left, row.stage, price, active) if tell else None,
    )


def _act(cause: Cause) -> Act | None:
    event = cause.event
    if event is None:
        return None
    rules = [hit.rule.id for hit in cause.hits]
    url = cut(event.get("url") or "", MAX_URL_BYTES)
    return Act(type=event["type"], subject=subject_of(event), url=url, at=cause.act_at, rules=rules)


def subject_of(event: TrackedEvent) -> str:
    """What an act was about, for people: of a view the page, of all else the file, form or mail before the page."""
    title, asset = event.get("title"), event.get("asset")
    told = (title or asset) if event["type"] in _VIEWS else (asset or title)
    return (told or "")[:MAX_SUBJECT_CHARACTERS]


def _alert(left: str, reached: str, price: Price, active: ActiveModel) -> Alert | None:
    """Whom the model says to tell: the first route that fits wins."""
    alerts = active.model.alerts
    route = next((route for route in alerts.routes if _fits(route, left, reached, price)), None)
    if route is None:
        return None
    return Alert(
        route=route.name,
        send_to=list(route.send_to),
        quiet_period_ms=int(alerts.quiet_period_ms),
        budget=alerts.budget,
        budget_window_ms=int(alerts.budget_window_ms),
        ack_within_ms=int(route.ack_within_ms),
        escalate_to=alerts.escalate_to,
    )


def _fits(route: Route, left: str, reached: str, price: Price) -> bool:
    entered = route.enters is not None and route.enters == reached
    fell = route.leaves is not None and route.leaves == left and route.leaves_to in {None, reached}
    return (entered or fell) and (route.when is None or route.when(price))
