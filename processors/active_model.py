"""A scoring model in force: the model, its activation, and what the fold precomputes from it."""

from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from processors.calendar import Calendar
from processors.match_rules import Matcher
from processors.model.model import Rule, ScoringModel, Stage
from processors.units import DAYS, Limited, limited_of
from schemas.codec import SCHEMAS
from schemas.projection import Projection, compile_projection
from schemas.records import ModelRef

# What the fold itself reads of an event, whatever the model asks.
FOLD_FIELDS = frozenset(
    {
        "event_id", "type", "occurred_at", "flags", "url", "referrer", "campaign", "click_id", "asset", "title",
        "traits", "email_kind", "email_domain", "phone_kind", "source",
    }
)  # fmt: skip


# The partitions of a worker share what is learnt of pages, windows and schemas: it depends on the model alone.
_MAX_SHARED = 16


@lru_cache(_MAX_SHARED)
def _matcher(model: ScoringModel) -> Matcher:
    return Matcher(model)


@lru_cache(_MAX_SHARED)
def _calendar(timezone: str) -> Calendar:
    return Calendar(timezone)


@lru_cache(_MAX_SHARED)
def _projection(fields: frozenset[str]) -> Projection:
    return compile_projection(SCHEMAS["TrackedEvent"], fields)


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
        return _matcher(self.model)

    @cached_property
    def calendar(self) -> Calendar:
        return _calendar(self.model.timezone)

    @cached_property
    def project(self) -> Projection:
        return _projection(FOLD_FIELDS | self.matcher.event_fields)

    @cached_property
    def heirs(self) -> dict[str, str]:
        """Former id of a renamed rule -> its id now."""
        return {rule.was: rule.id for rule in self.model.rules if rule.was is not None}

    @cached_property
    def smallest_half_life_ms(self) -> float:
        return min((rule.half_life_ms for rule in self.model.rules), default=float("inf"))

    @cached_property
    def limited(self) -> dict[str, Limited]:
        found = {rule.id: limited_of(rule) for rule in self.model.rules}
        return {rule: limited for rule, limited in found.items() if limited is not None}

    @cached_property
    def longest_window_ms(self) -> dict[str, int]:
        """Of each limited rule, and of active days."""
        return {rule: limited.longest_ms for rule, limited in {**self.limited, DAYS.id: DAYS}.items()}

    @cached_property
    def score_stages(self) -> dict[str, Stage]:
        """The stages that the score owns; those of sales never move by time or score."""
        return {stage.id: stage for stage in self.model.stages if stage.owner == "score"}

    @cached_property
    def above(self) -> dict[str, tuple[Stage, ...]]:
        """Per stage the later stages of the score that have an `enter`, highest first."""
        return {
            stage.id: tuple(
                later for later in reversed(self.model.stages[index + 1 :]) if later.owner == "score" and later.enter
            )
            for index, stage in enumerate(self.model.stages)
        }

    @cached_property
    def above_unknown(self) -> dict[str, tuple[Stage, ...]]:
        """Those of `above` that a lead can enter whom we cannot write to or call."""
        return {stage: tuple(later for later in above if not later.only_known) for stage, above in self.above.items()}

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
