"""The scoring model: what `read_model` makes of a model file, and all that the fold knows of it.

Durations are milliseconds as floats; `inf` means "never". Conditions are compiled: an `ActTest` is asked about one act,
a `LeadTest` about a lead as it is priced at one instant. The meaning of every part is in docs/scoring-model.md.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Literal

from processors.model.views import Act, LeadView
from schemas.rows import Number

ActTest = Callable[[Act], bool]
LeadTest = Callable[[LeadView], bool]
CalendarUnit = Literal["hour", "day", "week", "month", "lifetime"]


@dataclass(frozen=True, slots=True)
class Dimension:
    id: str
    half_life_ms: float
    cap: float = inf


@dataclass(frozen=True, slots=True)
class Touchpoint:
    name: str
    test: ActTest
    weight: float


@dataclass(frozen=True, slots=True)
class Tag:
    id: str
    test: ActTest


@dataclass(frozen=True, slots=True)
class Group:
    id: str
    cap: float = inf
    floor: float = -inf
    pick_first: bool = False


@dataclass(frozen=True, slots=True)
class Limit:
    times: int
    per: CalendarUnit
    by: str | None = None  # an act field; for each of its values


@dataclass(frozen=True, slots=True)
class Rule:
    id: str
    name: str  # for people; the id where the file gives none
    test: ActTest  # `when` alone; `valid` and `pick` are the matcher's
    event_types: frozenset[str] | None  # the only types that `when` can fit; None: any
    points: float
    dimension: str
    group: str | None
    half_life_ms: Number
    cap: float = inf  # bounds the size of the rule's sum
    per: str | None = None  # a numeric act field
    per_max: float = inf
    limit: Limit | None = None
    tag_weight: float = 1.0
    tags: tuple[str, ...] = ()
    valid_from_ms: float = -inf  # inclusive, by occurred_at
    valid_until_ms: float = inf  # exclusive
    activity: bool = True
    was: str | None = None
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class FitCase:
    holds: Callable[[object], bool]  # asked about the value of the trait; never about a missing one
    points: float


@dataclass(frozen=True, slots=True)
class FitBlock:
    id: str
    trait: str
    cases: tuple[FitCase, ...]


@dataclass(frozen=True, slots=True)
class Grade:
    fit: tuple[tuple[str, float], ...]  # (letter, lowest value that earns it), best first; the rest is D
    score: tuple[tuple[str, float], ...]  # the rest is 4


@dataclass(frozen=True, slots=True)
class Rfm:
    """(mark, bound), best mark first; the rest is 1."""

    recency_ms: tuple[tuple[int, float], ...]
    frequency: tuple[tuple[int, float], ...]
    depth: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Inactivity:
    after_ms: float
    points: float
    repeat: bool = False


@dataclass(frozen=True, slots=True)
class ExitTerm:
    """`score` or `dimension` is below the bound (points), or `idle` is at least the bound (ms)."""

    kind: Literal["score", "dimension", "idle"]
    bound: float
    dimension: str = ""


@dataclass(frozen=True, slots=True)
class Stage:
    id: str
    owner: Literal["score", "sales"]
    enter: LeadTest | None = None
    exit: tuple[ExitTerm, ...] = ()  # any of these
    min_dwell_ms: float = 0.0
    cooldown_ms: float = 0.0
    feedback: tuple[str, ...] = ()
    stuck_after_ms: float = inf
    only_known: bool = False  # `enter` holds for no lead that is not known


@dataclass(frozen=True, slots=True)
class Route:
    name: str
    send_to: tuple[str, ...]
    ack_within_ms: float
    enters: str | None = None
    leaves: str | None = None
    leaves_to: str | None = None  # with `leaves`: only to this stage
    does: tuple[str, ...] = ()
    in_stages: tuple[str, ...] = ()
    stuck_in: tuple[str, ...] = ()
    when: LeadTest | None = None


@dataclass(frozen=True, slots=True)
class Alerts:
    quiet_period_ms: float
    budget: int
    budget_window_ms: float
    escalate_to: str | None
    routes: tuple[Route, ...]


def channels_of(alerts: Alerts) -> frozenset[str]:
    """Every channel that the routes name; whom to escalate to is not told yet, so it is not among them."""
    return frozenset(channel for route in alerts.routes for channel in route.send_to)


@dataclass(frozen=True, slots=True)
class ModelTest:
    """One entry of `tests`; times are ms since the start of the test (Monday 2026-03-02 09:00 in `timezone`)."""

    name: str
    line: int
    traits: Mapping[str, str | list[str]]
    given: tuple[tuple[float, Mapping[str, Any]], ...]  # (at, act fields as in a condition, or {"feedback": word})
    expect: tuple[tuple[float, Mapping[str, LeadTest]], ...]  # (at, what must hold, by the text of the expectation)


@dataclass(frozen=True, slots=True, eq=False)
class ScoringModel:
    name: str
    version: str  # first 8 hex digits of the SHA-256 of the normalised file
    description: str
    timezone: str
    site_hosts: tuple[str, ...]  # patterns; empty: all
    score_floor: float
    score_cap: float
    dimensions: Mapping[str, Dimension]
    touchpoints: tuple[Touchpoint, ...]
    tags: tuple[Tag, ...]
    groups: Mapping[str, Group]
    rules: tuple[Rule, ...]  # enabled ones only
    fit: tuple[FitBlock, ...]
    grade: Grade
    rfm: Rfm
    inactivity: tuple[Inactivity, ...]
    stages: tuple[Stage, ...]
    alerts: Alerts
    act_fields: frozenset[str]  # act fields that any condition, limit or `per` reads, as a condition names them
    tests: tuple[ModelTest, ...] = ()
