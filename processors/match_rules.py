"""Which rules an act fits, and what it is worth to each: a pure function of model and event.

What depends on the type and the URL alone (most of most models) is answered once for each pair and kept.
"""

from collections.abc import Iterable
from typing import NamedTuple

from processors.model.act_fields import act_text, act_value, number_of, record_field
from processors.model.conditions import ActCondition
from processors.model.model import ActTest, Rule, ScoringModel
from processors.model.patterns import any_pattern
from processors.model.urls import MAX_URL_CHARACTERS, split_url
from processors.model.views import Act
from schemas.records import TrackedEvent

_MAX_PLANS = 8192
_MAX_KEPT_URL = 512  # longer URLs are rare and mostly hostile: matched, but not kept


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
    """A rule whose answers about type and URL are yes; `rest` is what is left to ask."""

    rule: Rule
    rest: tuple[ActTest, ...]
    dated: bool
    pick: str | None  # the group, if of one act only its first rule fits


class _Plan(NamedTuple):
    """What is known of an act from its type and URL."""

    foreign: bool
    places: tuple[tuple[tuple[ActTest, ...], float], ...]  # up to the first that is certain
    tags: tuple[str, ...]
    open_tags: tuple[tuple[tuple[ActTest, ...], str], ...]
    cases: tuple[_Case, ...]


_FOREIGN = Match((), foreign=True)
_NOTHING = Match((), foreign=False)


class Matcher:
    """Matches events of one model. Keeps a bounded cache; asks nothing but the event."""

    def __init__(self, model: ScoringModel) -> None:
        self._model = model
        self._plans: dict[tuple[str, str | None], _Plan] = {}
        self._host_fits = any_pattern(model.site_hosts) if model.site_hosts else None
        self._units = {rule.id: act_value(rule.per) for rule in model.rules if rule.per}
        self._by = {rule.id: act_text(rule.limit.by) for rule in model.rules if rule.limit and rule.limit.by}
        self.event_fields = frozenset({"type", *map(record_field, model.act_fields)})

    def match(self, event: TrackedEvent, at: int) -> Match:
        """The rules of the model, in its order, that the event fits; `at` is its effective time (ms UTC)."""
        plan = self._plan(event)
        if plan.foreign:
            return _FOREIGN
        if not plan.cases:
            return _NOTHING
        act = Act(event, at)
        rules = _fitting(plan.cases, act)
        if not rules:
            return _NOTHING
        weight = next(weight for rest, weight in plan.places if _all_hold(rest, act))
        tags = plan.tags
        if plan.open_tags:
            tags += tuple(tag for rest, tag in plan.open_tags if _all_hold(rest, act))
        return Match(tuple([self._hit(rule, event, weight, tags) for rule in rules]), foreign=False)

    def _hit(self, rule: Rule, event: TrackedEvent, weight: float, tags: tuple[str, ...]) -> Hit:
        units = 1.0 if rule.per is None else min(number_of(self._units[rule.id](event)), rule.per_max)
        by = self._by[rule.id](event) if rule.id in self._by else ""
        if rule.tags or len(tags) > 1:
            tags = tuple(sorted({*tags, *rule.tags}))
        return Hit(rule, units, weight, tags, by)

    def _plan(self, event: TrackedEvent) -> _Plan:
        url = event.get("url")
        if url and len(url) > _MAX_KEPT_URL:
            return self._make_plan(event)
        key = (event["type"], url)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._make_plan(event)
            if len(self._plans) >= _MAX_PLANS:
                self._plans.pop(next(iter(self._plans)))
            self._plans[key] = plan
        return plan

    def _make_plan(self, event: TrackedEvent) -> _Plan:
        act = Act(event, 0)
        places: list[tuple[tuple[ActTest, ...], float]] = []
        for place in self._model.touchpoints:
            rest = _rest(place.test, act)
            if rest is not None:
                places.append((rest, place.weight))
        places.append(((), 1.0))
        tags = [(rest, tag.id) for tag in self._model.tags if (rest := _rest(tag.test, act)) is not None]
        return _Plan(
            foreign=self._is_foreign(event),
            places=tuple(places),
            tags=tuple(tag for rest, tag in tags if not rest),
            open_tags=tuple((rest, tag) for rest, tag in tags if rest),
            cases=tuple(self._cases(act)),
        )

    def _cases(self, act: Act) -> Iterable[_Case]:
        kind = act.event["type"]
        for rule in self._model.rules:
            if rule.event_types is not None and kind not in rule.event_types:
                continue
            rest = _rest(rule.test, act)
            if rest is not None:
                group = self._model.groups.get(rule.group) if rule.group else None
                dated = rule.valid_from_ms > float("-inf") or rule.valid_until_ms < float("inf")
                yield _Case(rule, rest, dated, group.id if group and group.pick_first else None)

    def _is_foreign(self, event: TrackedEvent) -> bool:
        url = event.get("url")
        if not url or self._host_fits is None:
            return False
        host = split_url(url[: 2 * MAX_URL_CHARACTERS]).host
        return host != "" and not self._host_fits(host)


def _rest(test: ActTest, act: Act) -> tuple[ActTest, ...] | None:
    """What is left to ask of an act with this type and URL; None: nothing, the answer is no."""
    if not isinstance(test, ActCondition):
        return (test,)
    return test.rest if all(part(act) for part in test.page) else None


def _all_hold(tests: tuple[ActTest, ...], act: Act) -> bool:
    for test in tests:  # noqa: SIM110 - a generator costs three times as much on this path
        if not test(act):
            return False
    return True


def _fitting(cases: tuple[_Case, ...], act: Act) -> list[Rule]:
    rules: list[Rule] = []
    picked: set[str] | None = None
    for rule, rest, dated, pick in cases:
        if dated and not rule.valid_from_ms <= act.at < rule.valid_until_ms:
            continue
        if pick is not None and picked is not None and pick in picked:
            continue
        if rest and not _all_hold(rest, act):
            continue
        if pick is not None:
            picked = {pick} if picked is None else picked | {pick}
        rules.append(rule)
    return rules
