"""A scoring model in force: the model, its activation, and what the fold precomputes from it."""

from functools import lru_cache
from math import inf

from processors.calendar import Calendar
from processors.match_rules import Matcher
from processors.model.model import Rule, ScoringModel, Stage
from processors.units import DAYS, limited_of
from schemas.codec import SCHEMAS
from schemas.projection import Projection, compile_projection
from schemas.records import ModelRef

# Bumped by code that changes results. Such code asks `ActiveModel.fold_version`: until a model is activated anew by this build,
# all is folded as before, in a replay, too.
FOLD_VERSION = 1

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


class ActiveModel:
    """A model in force: the model, its activation, and what the fold asks of it for every act.

    Plain attributes, made once: a property of any kind costs more than reading one.

    Attributes:
        n, at: of the activation: its number, and the time of its record (ms UTC).
        fold_version: of the build that activated it; what is folded by this model is folded as that build did.
        stamp: tells models apart in rows. Two people may activate the same n at once, so n alone does not.
        project: decodes the fields of an event that the fold reads.
        order: rule -> its place in the model.
        heirs: former id of a renamed rule -> its id now.
        limited: the limits, by rule.
        longest_window_ms: of each limited rule, and of active days.
        score_stages: the stages that the score owns; those of sales never move by time or score.
        above: per stage the later stages of the score that have an `enter`, highest first.
        above_unknown: those of `above` that a lead can enter whom we cannot write to or call.
    """

    def __init__(
        self, model: ScoringModel, n: int, at: int, *, notify: bool = False, fold_version: int = FOLD_VERSION
    ) -> None:
        self.model = model
        self.fold_version = fold_version
        self.n = n
        self.at = at
        self.notify = notify
        self.stamp = n << 32 | int(model.version, 16)
        self.ref = ModelRef(n=n, name=model.name, version=model.version)

        self.matcher = _matcher(model)
        self.calendar = _calendar(model.timezone)
        self.project = _projection(FOLD_FIELDS | self.matcher.event_fields)

        rules = model.rules
        self.rules: dict[str, Rule] = {rule.id: rule for rule in rules}
        self.order = {rule.id: index for index, rule in enumerate(rules)}
        self.heirs = {rule.was: rule.id for rule in rules if rule.was is not None}
        self.smallest_half_life_ms: float = min((rule.half_life_ms for rule in rules), default=inf)
        self.dimension_of_group = {rule.group: rule.dimension for rule in rules if rule.group is not None}
        self.limited = {rule.id: limited for rule in rules if (limited := limited_of(rule)) is not None}
        self.longest_window_ms = {rule: each.longest_ms for rule, each in {**self.limited, DAYS.id: DAYS}.items()}

        stages = model.stages
        self.first_stage = stages[0]
        self.stage_index = {stage.id: index for index, stage in enumerate(stages)}
        self.stage_by_feedback = {word: stage for stage in stages for word in stage.feedback}
        self.score_stages = {stage.id: stage for stage in stages if stage.owner == "score"}
        self.above = {stage.id: _enterable(stages[index + 1 :]) for index, stage in enumerate(stages)}
        self.above_unknown = {
            stage: tuple([each for each in above if not each.only_known]) for stage, above in self.above.items()
        }


def _enterable(later: tuple[Stage, ...]) -> tuple[Stage, ...]:
    return tuple([stage for stage in reversed(later) if stage.owner == "score" and stage.enter is not None])
