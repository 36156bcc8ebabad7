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
from processors.units import tag_key
from schemas.records import TrackedEvent
from schemas.rows import Number, number

_MAX_PLANS = 8192
_MAX_KEPT = 512  # characters of type and URL: longer ones are rare and mostly hostile; matched, but not kept


class Hit(NamedTuple):
    """An act that fits a rule. Whether it pays is for the rule's limit to say."""

    rule: Rule
    units: Number  # n of `per`; 1 without
    weight: Number  # w of the touchpoint
    tags: tuple[str, ...]  # those matched and the rule's own, sorted
    by: str  # text of the `limit.by` field as a pattern sees it; empty if missing
    tag_keys: tuple[str, ...]  # the tallies of the tags

    @classmethod
    def of(cls, rule: Rule, units: float, weight: float, tags: tuple[str, ...], by: str) -> "Hit":
        return cls(rule, number(units), number(weight), tags, by, tuple([tag_key(rule.id, tag) for tag in tags]))


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

    @property
    def certain(self) -> bool:
        return self.rest is None and not self.dated and self.hit is not None


class _Plan(NamedTuple):
    """What is known of an act from its type, its URL and which other fields it has."""

    places: tuple[tuple[ActTest | None, float], ...]  # up to the first that is certain
    tags: tuple[str, ...]
    open_tags: tuple[tuple[ActTest, str], ...]
    cases: tuple[_Case, ...]
    match: Match | None = None  # if that is all there is to know


class _Page(NamedTuple):
    """What is known of an act from its type and its URL."""

    fields: tuple[str, ...]  # which others matter
    absent: tuple[None, ...]  # their values in an act that has none of them
    plans: dict[tuple[bool, ...], _Plan]  # by which of them are there; () for none


class _FullEvent(dict[str, Any]):
    """An event that has every field."""

    def get(self, key: str, default: Any = None) -> Any:  # noqa: ARG002 - the signature of a mapping
        return super().get(key, _PRESENT)


_PRESENT = object()
_FOREIGN = Match((), foreign=True)
_NOTHING = Match((), foreign=False)


class Matcher:
    """Matches events of one model. Keeps a bounded cache; asks nothing but the event."""

    def __init__(self, model: ScoringModel) -> None:
        self._model = model
        self._pages: dict[tuple[str, str | None], _Page] = {}
        self._plans = 0
        self._host_fits = any_pattern(model.site_hosts) if model.site_hosts else None
        self._units = {rule.id: act_value(rule.per) for rule in model.rules if rule.per}
        self._by = {rule.id: act_text(rule.limit.by) for rule in model.rules if rule.limit and rule.limit.by}
        self._reads_query = any(isinstance(test, ActCondition) and test.reads_query for test in _tests(model))
        self.event_fields = frozenset({"type", *map(record_field, model.act_fields)})

    def match(self, event: TrackedEvent, at: int) -> Match:
        """The rules of the model, in its order, that the event fits; `at` is its effective time (ms UTC)."""
        kind, url = event["type"], event.get("url")
        if url and "?" in url and not self._reads_query:
            url = url[: url.index("?")]  # click ids and UTM values would make every URL a new one
        page = self._pages.get((kind, url))
        if page is None:
            page = self._make_page(kind, url)
        fields: Mapping[str, object] = event
        values = tuple(map(fields.get, page.fields))
        present = () if values == page.absent else tuple([value is not None for value in values])
        plan = page.plans.get(present)
        if plan is None:
            plan = page.plans[present] = self._make_plan(event)
            self._count_plan()
        return self._match(plan, event, at) if plan.match is None else plan.match

    def _match(self, plan: _Plan, event: TrackedEvent, at: int) -> Match:
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
        by = self._by[rule.id](act.event) if rule.id in self._by else ""
        return Hit.of(rule, units, _weight(plan, act), _joined(tags, rule), by)

    def _make_page(self, kind: str, url: str | None) -> _Page:
        act = Act(cast("TrackedEvent", _FullEvent(type=kind, url=url)), 0)
        fields = set[str]()
        for test in _tests(self._model):
            if not isinstance(_decide(test, act), bool):
                asked = test.fields if isinstance(test, ActCondition) else self._model.act_fields
                fields.update(map(record_field, asked))
        names = tuple(sorted(fields - {"type", "url"}))
        page = _Page(names, (None,) * len(names), {})
        if len(kind) + len(url or "") <= _MAX_KEPT:
            self._pages[kind, url] = page
        return page

    def _count_plan(self) -> None:
        self._plans += 1
        if self._plans >= _MAX_PLANS:
            self._pages.clear()
            self._plans = 0

    def _make_plan(self, event: TrackedEvent) -> _Plan:
        if self._is_foreign(event):
            return _Plan(places=(), tags=(), open_tags=(), cases=(), match=_FOREIGN)
        act, model = Act(event, 0), self._model
        places = [
            (rest, place.weight) for place in model.touchpoints if (rest := _decide(place.test, act)) is not False
        ]
        tags = [(rest, tag.id) for tag in model.tags if (rest := _decide(tag.test, act)) is not False]
        plan = _Plan(
            places=tuple((None if rest is True else rest, weight) for rest, weight in places),
            tags=tuple(tag for rest, tag in tags if rest is True),
            open_tags=tuple((rest, tag) for rest, tag in tags if not isinstance(rest, bool)),
            cases=(),
        )
        plan = plan._replace(cases=tuple(self._cases(plan, act)))
        certain = not plan.cases or (not plan.open_tags and all(case.certain for case in plan.cases))
        return plan._replace(match=self._match(plan, event, 0)) if certain else plan

    def _cases(self, plan: _Plan, act: Act) -> Iterator[_Case]:
        for rule in self._model.rules:
            rest = _decide(rule.test, act)
            if rest is False:
                continue
            group = self._model.groups.get(rule.group) if rule.group else None
            dated = rule.valid_from_ms > -inf or rule.valid_until_ms < inf
            same_place = not plan.places or plan.places[0][0] is None
            certain = same_place and rule.per is None and rule.id not in self._by
            hit = Hit.of(rule, 1.0, _weight(plan, act), _joined(plan.tags, rule), "") if certain else None
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
