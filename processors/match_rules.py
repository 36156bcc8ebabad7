"""Which rules an act fits, and what it is worth to each: a pure function of model and event.

What depends on the type, the URL and the absence of other fields alone (most of most models) is answered once and kept.
"""

from collections.abc import Iterator, Mapping
from math import inf
from typing import Any, NamedTuple, cast

from processors.model.act_fields import act_text, act_value, number_of, record_field
from processors.model.conditions import ActCondition
from processors.model.model import ActTest, Rule, ScoringModel
from processors.model.patterns import any_pattern
from processors.model.urls import split_url
from processors.model.views import Act
from schemas.records import TrackedEvent

_MAX_PLANS = 8192
_MAX_KEPT = 512  # characters of type and URL: longer ones are rare and mostly hostile; matched, but not kept


class Hit(NamedTuple):
    """An act that fits a rule. Whether it pays is for the rule's limit to say."""

    rule: Rule
    units: float  # n of `per`; 1 without
    weight: float  # w of the touchpoint
    tags: tuple[str, ...]  # those matched and the rule's own, sorted
    by: str  # text of the `limit.by` field as a pattern sees it; empty if missing


class Match(NamedTuple):
    hits: tuple[Hit, ...]
    foreign: bool  # on a host that is not the site's: fits nothing, but its traits count


class _Case(NamedTuple):
    """A rule that an act of this type and URL may fit."""

    rule: Rule
    rest: ActTest | None  # what is left to ask
    dated: bool
    pick: str | None  # the group, if of one act only its first rule fits
    hit: Hit | None  # of an act without further tags, where nothing else can change it


class _Plan(NamedTuple):
    """What is known of an act from its type, its URL and which other fields it has."""

    foreign: bool
    places: tuple[tuple[ActTest | None, float], ...]  # up to the first that is certain
    tags: tuple[str, ...]
    open_tags: tuple[tuple[ActTest, str], ...]
    cases: tuple[_Case, ...]


_FOREIGN = Match((), foreign=True)
_NOTHING = Match((), foreign=False)


class Matcher:
    """Matches events of one model. Keeps a bounded cache; asks nothing but the event."""

    def __init__(self, model: ScoringModel) -> None:
        self._model = model
        self._plans: dict[tuple[str, str | None, tuple[str, ...]], _Plan] = {}
        self._host_fits = any_pattern(model.site_hosts) if model.site_hosts else None
        self._units = {rule.id: act_value(rule.per) for rule in model.rules if rule.per}
        self._by = {rule.id: act_text(rule.limit.by) for rule in model.rules if rule.limit and rule.limit.by}
        self._reads_query = any(isinstance(test, ActCondition) and test.reads_query for test in _tests(model))
        self.event_fields = frozenset({"type", *map(record_field, model.act_fields)})
        self._other_fields = sorted(self.event_fields - {"type", "url"})

    def match(self, event: TrackedEvent, at: int) -> Match:
        """The rules of the model, in its order, that the event fits; `at` is its effective time (ms UTC)."""
        plan = self._plan(event)
        if not plan.cases:
            return _FOREIGN if plan.foreign else _NOTHING
        act = Act(event, at)
        hits: list[Hit] = []
        tags: tuple[str, ...] | None = None  # found at the first hit
        picked: list[str] = []
        for rule, rest, dated, pick, hit in plan.cases:
            if dated and not rule.valid_from_ms <= at < rule.valid_until_ms:
                continue
            if pick in picked or (rest is not None and not rest(act)):
                continue
            if pick is not None:
                picked.append(pick)
            if tags is None:
                tags = _tags(plan, act)
            hits.append(hit if hit is not None and tags is plan.tags else self._hit(rule, plan, tags, act))
        return Match(tuple(hits), foreign=False) if hits else _NOTHING

    def _hit(self, rule: Rule, plan: _Plan, tags: tuple[str, ...], act: Act) -> Hit:
        units = 1.0 if rule.per is None else min(number_of(self._units[rule.id](act.event)), rule.per_max)
        weight = _weight(plan, act)
        by = self._by[rule.id](act.event) if rule.id in self._by else ""
        return Hit(rule, units, weight, _joined(tags, rule), by)

    def _plan(self, event: TrackedEvent) -> _Plan:
        kind, url = event["type"], event.get("url")
        if url and "?" in url and not self._reads_query:
            url = url[: url.index("?")]  # click ids and UTM values would make every URL a new one
        get = cast("Mapping[str, Any]", event).get
        known = (kind, url, tuple([name for name in self._other_fields if get(name) is not None]))
        plan = self._plans.get(known)
        if plan is None:
            plan = self._make_plan(event)
            if len(kind) + len(url or "") <= _MAX_KEPT:
                if len(self._plans) >= _MAX_PLANS:
                    self._plans.pop(next(iter(self._plans)))
                self._plans[known] = plan
        return plan

    def _make_plan(self, event: TrackedEvent) -> _Plan:
        if self._is_foreign(event):
            return _Plan(foreign=True, places=(), tags=(), open_tags=(), cases=())
        act, model = Act(event, 0), self._model
        places = [
            (rest, place.weight) for place in model.touchpoints if (rest := _decide(place.test, act)) is not False
        ]
        tags = [(rest, tag.id) for tag in model.tags if (rest := _decide(tag.test, act)) is not False]
        plan = _Plan(
            foreign=False,
            places=tuple((None if rest is True else rest, weight) for rest, weight in places),
            tags=tuple(tag for rest, tag in tags if rest is True),
            open_tags=tuple((rest, tag) for rest, tag in tags if not isinstance(rest, bool)),
            cases=(),
        )
        return plan._replace(cases=tuple(self._cases(plan, act)))

    def _cases(self, plan: _Plan, act: Act) -> Iterator[_Case]:
        for rule in self._model.rules:
            rest = _decide(rule.test, act)
            if rest is False:
                continue
            group = self._model.groups.get(rule.group) if rule.group else None
            dated = rule.valid_from_ms > -inf or rule.valid_until_ms < inf
            same_place = not plan.places or plan.places[0][0] is None
            certain = same_place and rule.per is None and rule.id not in self._by
            hit = Hit(rule, 1.0, _weight(plan, act), _joined(plan.tags, rule), "") if certain else None
            pick = group.id if group and group.pick_first else None
            yield _Case(rule, None if rest is True else rest, dated, pick, hit)

    def _is_foreign(self, event: TrackedEvent) -> bool:
        url = event.get("url")
        if not url or self._host_fits is None:
            return False
        host = split_url(url).host
        return host != "" and not self._host_fits(host)


def _tests(model: ScoringModel) -> Iterator[ActTest]:
    for part in (model.rules, model.tags, model.touchpoints):
        yield from (each.test for each in part)


def _decide(test: ActTest, act: Act) -> ActTest | bool:
    return test.decide(act) if isinstance(test, ActCondition) else test


def _weight(plan: _Plan, act: Act) -> float:
    for test, weight in plan.places:
        if test is None or test(act):
            return weight
    return 1.0


def _tags(plan: _Plan, act: Act) -> tuple[str, ...]:
    """The tags of the act; `plan.tags` itself if it adds none."""
    more = [tag for test, tag in plan.open_tags if test(act)]
    return (*plan.tags, *more) if more else plan.tags


def _joined(tags: tuple[str, ...], rule: Rule) -> tuple[str, ...]:
    return tuple(sorted({*tags, *rule.tags})) if rule.tags or len(tags) > 1 else tags
