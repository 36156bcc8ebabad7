"""A scoring model in force: the model, its activation, and what the fold precomputes from it."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from processors.calendar import LONGEST_MS, Calendar
from processors.match_rules import Matcher
from processors.model.model import CalendarUnit, Rule, ScoringModel, Stage
from schemas.codec import SCHEMAS
from schemas.projection import Projection, compile_projection
from schemas.records import ModelRef


class Limited(NamedTuple):
    """What a bucket knows of its rule."""

    id: str
    half_life_ms: float
    times: int


# What the fold itself reads of an event, whatever the model asks.
FOLD_FIELDS = frozenset(
    {
        "event_id", "type", "occurred_at", "flags", "url", "referrer", "campaign", "click_id", "asset", "title",
        "traits", "email_kind", "email_domain", "phone_kind", "source",
    }
)  # fmt: skip


@dataclass(frozen=True)
class ActiveModel:
    """`n` and `at` are of the activation: its number, and the time of its record (ms UTC)."""

    model: ScoringModel
    n: int
    at: int
    notify: bool = False
    rules: dict[str, Rule] = field(init=False)
    order: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", {rule.id: rule for rule in self.model.rules})
        object.__setattr__(self, "order", {rule.id: index for index, rule in enumerate(self.model.rules)})

    @cached_property
    def matcher(self) -> Matcher:
        return Matcher(self.model)

    @cached_property
    def calendar(self) -> Calendar:
        return Calendar(self.model.timezone)

    @cached_property
    def project(self) -> Projection:
        return compile_projection(SCHEMAS["TrackedEvent"], FOLD_FIELDS | self.matcher.event_fields)

    @cached_property
    def heirs(self) -> dict[str, str]:
        """Former id of a renamed rule -> its id now."""
        return {rule.was: rule.id for rule in self.model.rules if rule.was is not None}

    @cached_property
    def smallest_half_life_ms(self) -> float:
        return min((rule.half_life_ms for rule in self.model.rules), default=float("inf"))

    @cached_property
    def limited(self) -> dict[str, tuple[CalendarUnit, bool, Limited]]:
        """Per limited rule: its window, whether each value of a field has its own, and what a bucket needs."""
        return {
            rule.id: (rule.limit.per, rule.limit.by is not None, Limited(rule.id, rule.half_life_ms, rule.limit.times))
            for rule in self.model.rules
            if rule.limit is not None
        }

    @cached_property
    def longest_window_ms(self) -> dict[str, int]:
        """Per rule that is limited in a window of time: the longest such a window can be."""
        limits = [(rule.id, rule.limit.per) for rule in self.model.rules if rule.limit is not None]
        return {rule: LONGEST_MS[unit] for rule, unit in limits if unit != "lifetime"}

    @cached_property
    def above(self) -> dict[str, tuple[Stage, ...]]:
        """Per stage the later stages of the score that have an `enter`, highest first."""
        stages = self.model.stages
        return {
            stage.id: tuple(s for s in reversed(stages[index + 1 :]) if s.owner == "score" and s.enter is not None)
            for index, stage in enumerate(stages)
        }

    @cached_property
    def dimension_of_group(self) -> dict[str, str]:
        return {rule.group: rule.dimension for rule in self.model.rules if rule.group is not None}

    @cached_property
    def stage_index(self) -> dict[str, int]:
        return {stage.id: index for index, stage in enumerate(self.model.stages)}

    @cached_property
    def stage_by_feedback(self) -> dict[str, Stage]:
        return {word: stage for stage in self.model.stages for word in stage.feedback}

    @cached_property
    def stamp(self) -> int:
        """Tells models apart in rows. Two people may activate the same n at once, so n alone does not."""
        return self.n << 32 | int(self.model.version, 16)

    @property
    def first_stage(self) -> Stage:
        return self.model.stages[0]

    @cached_property
    def ref(self) -> ModelRef:
        return ModelRef(n=self.n, name=self.model.name, version=self.model.version)
