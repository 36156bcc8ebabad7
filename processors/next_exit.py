"""When a lead will fall: solved, not polled.

Penalties may decay, so a score can rise by itself and no monotonicity is assumed. From an instant s at which the exit
does not hold, a lower bound of the score is followed instead: positive terms decayed, negative ones frozen at s. The
bound never rises and never exceeds the score, so no exit can come before it reaches the threshold.
"""

from math import ceil, inf, log2
from typing import Literal

from processors.active_model import ActiveModel
from processors.calendar import DAY_MS
from processors.model.model import ExitTerm, Stage
from processors.price import LineFields, Price
from schemas.rows import NEVER_MS, Row, Tally, changed

SECOND_MS = 1000
_CHEAP_ABOVE_MS = 60 * SECOND_MS
_HORIZON_MS = 400 * DAY_MS


def exit_holds(stage: Stage, price: Price) -> bool:
    return any(_term_holds(term, price) for term in stage.exit)


def _term_holds(term: ExitTerm, price: Price) -> bool:
    if term.kind == "idle":
        return price.idle_ms is not None and price.idle_ms >= term.bound
    value = price.score if term.kind == "score" else price.dimension(term.dimension)
    return value < term.bound


def first_exit(row: Row, stage: Stage, active: ActiveModel, start: int, end: int) -> int | None:
    """The first instant in [start, end], to a second, at which `stage.exit` holds and its dwell is over.

    Row time is at or before `start`; the row is taken not to change until then.
    """
    if not stage.exit:
        return None
    at = max(start, row.entered_at + int(stage.min_dwell_ms))
    while at <= end:
        price = Price(row, active, at)
        if exit_holds(stage, price):
            return at
        mark = _next_mark(row, stage, active, at)
        at = max(_quiet_until(row, stage, active, price, mark), min(at + SECOND_MS, mark))
    return None


def next_look(row: Row, stage: Stage, active: ActiveModel) -> int:
    """No exit comes before this instant; it may be early. `NEVER_MS` where none can come without an act.

    Not rounded to seconds: a tick must find an exit or not whatever looks came before it.
    """
    if not stage.exit:
        return NEVER_MS
    at = max(row.now, row.entered_at + int(stage.min_dwell_ms))
    price = Price(row, active, at)
    if exit_holds(stage, price):
        return at
    return _quiet_until(row, stage, active, price, _next_mark(row, stage, active, at))


def _quiet_until(row: Row, stage: Stage, active: ActiveModel, price: Price, mark: int) -> int:
    """An instant at or after `price.at`, where no exit holds, before which none can."""
    at = price.at
    wait = min((_cheap_wait(term, row, price, active) for term in stage.exit if term.kind != "idle"), default=inf)
    if wait <= _CHEAP_ABOVE_MS:
        wait = _solved_wait(row, stage, active, at, min(mark - at, _HORIZON_MS))
    return int(min(at + wait, mark, NEVER_MS))


def _next_mark(row: Row, stage: Stage, active: ActiveModel, at: int) -> int:
    """The next instant after `at` at which an inactivity term or an `idle` begins to count."""
    if row.last_at is None:
        return NEVER_MS
    idle = at - row.last_at
    marks = [term.bound for term in stage.exit if term.kind == "idle" and term.bound > idle]
    for term in active.model.inactivity:
        if term.after_ms > idle:
            marks.append(term.after_ms)
        elif term.repeat:
            marks.append((idle // term.after_ms + 1) * term.after_ms)
    first = min(marks, default=inf)
    return row.last_at + ceil(first) if first < inf else NEVER_MS


def _cheap_wait(term: ExitTerm, row: Row, price: Price, active: ActiveModel) -> float:
    """A wait that is surely not too long: `h_min log2(P / (threshold + Q))`.

    P sums the positive points, cut so that cap + penalties is not exceeded; Q the penalties. At every cap
    `min(p f - q, cap) >= f min(p, cap + q) - q` for 0 <= f <= 1, so the bound survives it.
    """
    lines = price.parts[0]
    gains, losses = _bounded(lines, active, term.dimension)
    if term.kind == "score":
        losses -= sum([points for kind, _, _, _, _, _, points in lines if kind == "inactivity"])
        if active.model.score_floor >= term.bound:
            return inf
        gains = min(gains, active.model.score_cap + losses)
    least = term.bound + losses
    if least <= 0:
        return inf
    if gains <= least:
        return 0.0
    half_lives = [
        row.tallies[id_].half_life_ms for kind, id_, _, _, _, _, points in lines if kind == "rule" and points > 0
    ]
    return max(0.0, min(half_lives, default=inf) * log2(gains / least))


def _bounded(lines: list[LineFields], active: ActiveModel, only: str) -> tuple[float, float]:
    """(gains, losses) of the dimension `only`, or of all where it is empty, cut at each cap on the way."""
    rules, groups, dimensions = active.rules, active.model.groups, active.model.dimensions
    sums: dict[tuple[str, str], list[float]] = {}  # by dimension and group: [gains, losses]
    for kind, id_, dimension, group, _, _, points in lines:
        if kind != "rule" or (only and dimension != only):
            continue
        cap, place = rules[id_].cap, sums.get((dimension, group))
        if place is None:
            place = sums[dimension, group] = [0.0, 0.0]
        if points > 0:
            place[0] += min(points, cap)
        else:
            place[1] += min(-points, cap)
    of_dimension: dict[str, tuple[float, float]] = {}
    for (dimension, group), (gains, losses) in sums.items():
        kept = min(gains, groups[group].cap + losses) if group else gains
        before = of_dimension.get(dimension, (0.0, 0.0))
        of_dimension[dimension] = (before[0] + kept, before[1] + losses)
    return (
        sum([min(gains, dimensions[name].cap + losses) for name, (gains, losses) in of_dimension.items()]),
        sum([losses for _, losses in of_dimension.values()]),
    )


def _solved_wait(row: Row, stage: Stage, active: ActiveModel, at: int, longest: float) -> float:
    """The largest wait, to a millisecond, for which the bound keeps every term of the exit from holding."""
    frozen = _with_frozen_penalties(row, active, at)
    low, high = 0.0, float(longest)

    def safe(wait: float) -> bool:
        price = Price(frozen, active, at + int(wait))
        return not any(_term_holds(term, price) for term in stage.exit if term.kind != "idle")

    if safe(high - 1):
        return high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if safe(middle) else (low, middle)
    return low


def _with_frozen_penalties(row: Row, active: ActiveModel, at: int) -> Row:
    tallies = {}
    for kind, id_, _, _, units, _, points in Price(row, active, at).parts[0]:
        if kind == "rule":
            tallies[id_] = Tally(row.tallies[id_].half_life_ms if points > 0 else inf, units)
    return changed(row, ref=at, tallies=tallies)


ExitCause = Literal["decay", "inactivity"]


def exit_cause(stage: Stage, row: Row, active: ActiveModel, at: int) -> ExitCause:
    """`inactivity` if without idle conditions and inactivity points no exit would hold at `at`."""
    without = changed(row, last_at=None)
    return "decay" if exit_holds(stage, Price(without, active, at)) else "inactivity"
