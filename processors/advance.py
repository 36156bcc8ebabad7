"""What time and records do to a stage: exits are solved, promotion comes only with a record about the lead."""

from processors.active_model import ActiveModel
from processors.adopt_model import adopt_model
from processors.model.model import Stage
from processors.moves import Cause, move
from processors.next_exit import exit_cause, exit_holds, first_exit
from processors.price import Price
from processors.take_traits import is_known
from schemas.rows import Row


def advance(row: Row, to: int, cause: Cause, active: ActiveModel) -> None:
    """Let time pass up to `to` (ms UTC): every exit on the way happens at its own instant, first of all."""
    end = max(to, row.now)
    if row.model_stamp == active.stamp and end < cause.wake_at:
        row.now = end
        return
    cause.wake_at = 0
    model_at = _adopt(row, cause, active) if row.model_stamp != active.stamp else None
    end = max(end, row.now)
    while (stage := active.score_stages.get(row.stage)) is not None:
        at = first_exit(row, stage, active, row.now, end)
        if at is None:
            break
        row.now = at
        why = "model" if at == model_at else exit_cause(stage, row, active, at)
        move(row, _fall(row, stage, active), why, cause, active)
    row.now = end


def _adopt(row: Row, cause: Cause, active: ActiveModel) -> int:
    """Go over to a newer model; returns the instant at which it holds for this row."""
    row.now = max(row.now, active.at)
    adopt_model(row, active)
    if row.stage not in active.stage_index:
        move(row, active.first_stage, "model", cause, active)
    return row.now


def settle(row: Row, cause: Cause, active: ActiveModel) -> None:
    """At most one move by the record itself, at row time. Promotion happens here and nowhere else."""
    stage, now = active.score_stages.get(row.stage), row.now
    if stage is None:
        return
    may_fall = bool(stage.exit) and now >= cause.wake_at and now >= row.entered_at + stage.min_dwell_ms
    above = (active.above if is_known(row) else active.above_unknown)[stage.id] if now >= row.cool_until else ()
    if not (may_fall or above):  # most acts: no price is needed
        return
    price = Price(row, active, now)
    if may_fall and exit_holds(stage, price):
        move(row, _fall(row, stage, active), "act", cause, active)
    elif (higher := _rise(price, above)) is not None:
        move(row, higher, "act", cause, active)


def take_feedback(row: Row, to: Stage, cause: Cause, active: ActiveModel) -> None:
    """Sales said a word that a stage lists: from anywhere, at once, and nothing else moves."""
    move(row, to, "feedback", cause, active)


def _rise(price: Price, above: tuple[Stage, ...]) -> Stage | None:
    """The highest later stage of the score that lets the lead in, unless it would fall out at once."""
    for candidate in above:
        enters = candidate.enter is not None and candidate.enter(price)
        if enters and (candidate.min_dwell_ms > 0 or not exit_holds(candidate, price)):
            return candidate
    return None


def _fall(row: Row, stage: Stage, active: ActiveModel) -> Stage:
    """The highest lower stage of the score whose exit does not hold, else the first."""
    price = Price(row, active, row.now)
    for candidate in reversed(active.model.stages[: active.stage_index[stage.id]]):
        if candidate.owner == "score" and not exit_holds(candidate, price):
            return candidate
    return active.first_stage
