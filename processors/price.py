"""What a lead is worth at one instant: the only place where points are computed.

`parts` yields the lines; the score is their sum and the receipt is their list. Nothing here is stored: caps, floors and
points act on read, so a changed model prices every lead anew, and a score read tomorrow has faded.
"""

from math import copysign, exp2, inf
from typing import NamedTuple

from processors.active_model import ActiveModel
from processors.adopt_model import adopt_names
from processors.model.model import FitBlock, ScoringModel
from processors.take_traits import is_known, trait_of
from processors.touches import kept_touch, touch_of
from processors.units import DAYS_RULE
from schemas.records import FitPart, LeadSnapshot, Part, Text, Touch
from schemas.rows import PricedRow, Row, Tally


class Line(NamedTuple):
    kind: str
    id: str
    dimension: str
    group: str
    units: float
    per_unit: float
    points: float


# A line without the names of its fields, which few prices are asked for: a plain tuple is made in a fifth of the time.
LineFields = tuple[str, str, str, str, float, float, float]
Parts = tuple[list[LineFields], float, float]


def parts(row: PricedRow, active: ActiveModel, at: int) -> Parts:
    """The lines of a price, the sum of their points before the floor and the cap of the total, and the sum of all.

    Lines are every rule with units, then every cut, in the order of the model. Their points are added in that order.
    """
    lines: list[LineFields] = []
    sum_ = 0.0
    groups: dict[str, float] = {}
    dimensions: dict[str, float] = {}
    tallies, order, rules, elapsed = row.tallies, active.order, active.model.rules, row.ref - at
    for index in sorted([order[key] for key in tallies if key in order]):
        rule = rules[index]
        tally, dimension, group, cap = tallies[rule.id], rule.dimension, rule.group or "", rule.cap
        units = tally.x * exp2(elapsed / tally.half_life_ms)
        points = rule.points * units
        lines.append(("rule", rule.id, dimension, group, units, rule.points, points))
        sum_ += points
        if points > cap or points < -cap:
            kept = copysign(cap, points)
            lines.append(_cut("rule_cap", rule.id, dimension, group, kept - points))
            sum_ += kept - points
            points = kept
        if group:
            groups[group] = groups.get(group, 0.0) + points
        else:
            dimensions[dimension] = dimensions.get(dimension, 0.0) + points
    for group, total in groups.items():
        bounds, dimension, kept = active.model.groups[group], active.dimension_of_group[group], total
        if not bounds.floor <= total <= bounds.cap:
            kept = min(max(total, bounds.floor), bounds.cap)
            kind = "group_cap" if kept < total else "group_floor"
            lines.append(_cut(kind, group, dimension, group, kept - total))
            sum_ += kept - total
        dimensions[dimension] = dimensions.get(dimension, 0.0) + kept
    for dimension, total in dimensions.items():
        cap = active.model.dimensions[dimension].cap
        if total > cap:
            lines.append(_cut("dimension_cap", dimension, dimension, "", cap - total))
            sum_ += cap - total
    if row.last_at is not None:
        sum_ = _add_inactivity(lines, at - row.last_at, active.model, sum_)
    return lines, sum_, sum_ + _cut_total(lines, active.model, sum_)


def _cut(kind: str, id_: str, dimension: str, group: str, points: float) -> LineFields:
    return kind, id_, dimension, group, 0.0, 0.0, points


def _add_inactivity(lines: list[LineFields], idle_ms: float, model: ScoringModel, total: float) -> float:
    """Returns the total with its points."""
    for index, term in enumerate(model.inactivity):
        if idle_ms >= term.after_ms:
            points = term.points * (idle_ms // term.after_ms if term.repeat else 1)
            lines.append(("inactivity", f"inactivity-{index + 1}", "", "", 0.0, term.points, points))
            total += points
    return total


def _cut_total(lines: list[LineFields], model: ScoringModel, total: float) -> float:
    """Returns the points of the line that it adds, if any."""
    if total > model.score_cap:
        kind, points = "cap", model.score_cap - total
    elif total < model.score_floor:
        kind, points = "floor", model.score_floor - total
    else:
        return 0.0
    lines.append(_cut(kind, "score", "", "", points))
    return points


class Price:
    """A lead as conditions, receipts and pages see it at the instant `at` (ms UTC, not before row time).

    Numbers are rounded to 1e-6 before any comparison. What nobody asks for is not computed. Implements `LeadView`.
    """

    __slots__ = ("_active", "_fit", "_parts", "_row", "_score", "at")

    def __init__(self, row: PricedRow, active: ActiveModel, at: int) -> None:
        self._row = row
        self._active = active
        self._parts: Parts | None = None
        self._score: float | None = None
        self._fit: float | None = None
        self.at = at

    @property
    def parts(self) -> Parts:
        if self._parts is None:
            self._parts = parts(self._row, self._active, self.at)
        return self._parts

    @property
    def lines(self) -> list[Line]:
        return [Line(*fields) for fields in self.parts[0]]

    @property
    def score(self) -> float:
        if self._score is None:
            self._score = _rounded(self.parts[2])
        return self._score

    @property
    def raw(self) -> float:
        """The score before the floor and the cap of the total."""
        _, raw, score = self.parts
        return self.score if raw == score else _rounded(raw)

    @property
    def known(self) -> bool:
        return is_known(self._row)

    @property
    def fit(self) -> float:
        if self._fit is None:
            self._fit = _rounded(sum([points for _, _, points in self._fit_cases()]))
        return self._fit

    @property
    def grade(self) -> str:
        grade = self._active.model.grade
        return _mark(grade.fit, self.fit, "D") + _mark(grade.score, self.score, "4")

    @property
    def stage(self) -> str:
        return self._row.stage

    @property
    def idle_ms(self) -> float | None:
        return None if self._row.last_at is None else self.at - self._row.last_at

    @property
    def in_stage_ms(self) -> float:
        return self.at - self._row.entered_at

    @property
    def first_touch(self) -> Touch | None:
        return touch_of(self._row.first_touch)

    @property
    def last_touch(self) -> Touch | None:
        return touch_of(self._row.last_touch)

    def dimension(self, name: str) -> float:
        return _rounded(sum([points for _, _, of, _, _, _, points in self.parts[0] if of == name]))

    def group(self, name: str) -> float:
        return _rounded(sum([points for _, _, _, of, _, _, points in self.parts[0] if of == name]))

    def tag(self, name: str) -> float:
        suffix, total = "#" + name, 0.0
        for key in self._row.tallies:
            if key.endswith(suffix):
                rule = self._active.rules.get(key[: -len(suffix)])
                total += rule.tag_weight * self._units(key) if rule is not None else 0.0
        return _rounded(total)

    def rfm(self, name: str) -> int:
        rfm = self._active.model.rfm
        if name == "recency":
            idle = self.idle_ms
            return 1 if idle is None else next((mark for mark, bound in rfm.recency_ms if idle <= bound), 1)
        value, marks = (self._units(DAYS_RULE), rfm.frequency) if name == "frequency" else (self._depth, rfm.depth)
        return next((mark for mark, bound in marks if _rounded(value) >= bound), 1)

    @property
    def _depth(self) -> float:
        return sum([line.points for line in self.lines if line.kind == "rule" and line.points > 0])

    def _units(self, key: str) -> float:
        tally = self._row.tallies.get(key)
        return 0.0 if tally is None else tally.x * exp2((self._row.ref - self.at) / tally.half_life_ms)

    def trait(self, name: str) -> Text | None:
        return trait_of(self._row, name)

    def did(self, rule: str, within_ms: float) -> bool:
        acts = self._row.tallies.get(rule)
        return acts is not None and acts.count > 0 and self.at - acts.last_at <= within_ms

    def _fit_cases(self) -> list[tuple[FitBlock, Text, float]]:
        found = []
        for block in self._active.model.fit if self._row.traits else ():
            value = self.trait(block.trait)
            if value is None:
                continue
            for case in block.cases:
                if case.holds(value):
                    found.append((block, value, case.points))
                    break
        return found

    def fit_receipt(self) -> list[FitPart]:
        return [
            FitPart(id=block.id, trait=block.trait, value=", ".join([value] if isinstance(value, str) else value), points=points)
            for block, value, points in self._fit_cases()
        ]  # fmt: skip

    def receipt(self) -> list[Part]:
        """The lines for people; what is worth less than a millionth of a point is left out."""
        return [self._part(line) for line in self.lines if abs(line.points) >= 1e-6]

    def _part(self, line: Line) -> Part:
        acts = self._row.tallies.get(line.id) if line.kind == "rule" else None
        rule = self._active.rules.get(line.id)
        return Part(
            kind=line.kind,
            id=line.id,
            name=rule.name if rule is not None else line.id,
            dimension=line.dimension,
            group=line.group,
            units=round(line.units, 9),
            per_unit=line.per_unit,
            points=round(line.points, 9),
            count=acts.count if acts is not None else 0,
            last_at=acts.last_at if acts is not None else None,
            last_event_id=acts.last_id if acts is not None else "",
            subject=acts.subject if acts is not None else "",
        )


def _mark(marks: tuple[tuple[str, float], ...], value: float, least: str) -> str:
    for mark, bound in marks:
        if value >= bound:
            return mark
    return least


def _rounded(value: float) -> float:
    return round(value, 6) + 0.0  # never -0.0


def price(snapshot: LeadSnapshot, active: ActiveModel, at: int) -> Price:
    """What the lead of a snapshot is worth at `at`, which must not lie before the snapshot."""
    row = row_of_snapshot(snapshot)
    adopt_names(row, active)  # the model may be newer than the snapshot
    return Price(row, active, at)


def row_of_snapshot(snapshot: LeadSnapshot) -> Row:
    """As much of the row as a price is made of."""
    return Row(
        now=snapshot["at"],
        ref=snapshot["at"],
        stage=snapshot["stage"],
        entered_at=snapshot["entered_at"],
        cool_until=snapshot["cool_until"],
        tallies={
            u["rule"]: Tally(
                inf if u["half_life_ms"] is None else u["half_life_ms"],
                u["units"], u["count"], u["last_at"] or 0, u["last_event_id"], u["subject"],
            )
            for u in snapshot["units"]
        },
        traits={name: (value, 0, b"") for name, value in snapshot["traits"].items()},
        first_touch=kept_touch(snapshot["first_touch"]),
        last_touch=kept_touch(snapshot["last_touch"]),
        first_at=snapshot["first_at"],
        last_at=snapshot["last_at"],
        visits=snapshot["visits"],
    )  # fmt: skip
