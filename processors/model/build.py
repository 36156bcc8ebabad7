"""A filled tree without errors -> the model."""

from collections.abc import Iterable
from datetime import date
from math import inf
from typing import Any

from processors.model.conditions import ActCondition, act_condition, expectations, lead_condition, needs_known
from processors.model.model import (
    Alerts,
    Dimension,
    ExitTerm,
    FitBlock,
    FitCase,
    Grade,
    Group,
    Inactivity,
    Limit,
    ModelTest,
    Rfm,
    Route,
    Rule,
    ScoringModel,
    Stage,
    Tag,
    Touchpoint,
)
from processors.model.problems import Findings
from processors.model.values import value_test
from processors.model.version import version_of
from processors.model.zones import day_start_ms
from schemas.rows import number

Tree = dict[str, Any]


def build(tree: Tree, findings: Findings) -> ScoringModel:
    """`findings` tells in which line a test stands."""
    rules = [rule for rule in tree["rules"] if rule["enabled"]]
    conditions = {rule["id"]: act_condition(rule["when"]) for rule in rules}
    tags = {tag["id"]: act_condition(tag["match"]) for tag in tree["tags"]}
    places = [act_condition(place["when"]) for place in tree["touchpoints"]]
    hosts = tuple(tree["site"]["hosts"] or ())
    score = tree["score"]
    return ScoringModel(
        name=tree["name"],
        version=version_of(tree),
        description=tree["description"] or "",
        timezone=tree["timezone"],
        site_hosts=hosts,
        score_floor=score["floor"],
        score_cap=_or(score["cap"], inf),
        dimensions={
            name: Dimension(name, each["half_life"], _or(each["cap"], inf)) for name, each in tree["dimensions"].items()
        },
        touchpoints=tuple(
            Touchpoint(place["name"] or "", test, place["weight"])
            for place, test in zip(tree["touchpoints"], places, strict=True)
        ),
        tags=tuple(Tag(name, test) for name, test in tags.items()),
        groups={
            name: Group(name, _or(each["cap"], inf), _or(each["floor"], -inf), each["pick"] == "first")
            for name, each in tree["groups"].items()
        },
        rules=tuple(_rule(rule, conditions[rule["id"]], tree["timezone"]) for rule in rules),
        fit=tuple(_fit_block(block) for block in tree["fit"]),
        grade=Grade(tuple(tree["grade"]["fit"].items()), tuple(tree["grade"]["score"].items())),
        rfm=Rfm(*(_marks(tree["rfm"][name]) for name in ("recency", "frequency", "depth"))),
        inactivity=tuple(Inactivity(each["after"], each["points"], each["repeat"]) for each in tree["inactivity"]),
        stages=tuple(map(_stage, tree["stages"])),
        alerts=_alerts(tree["alerts"]),
        act_fields=_act_fields([*conditions.values(), *tags.values(), *places], rules, foreign=bool(hosts)),
        tests=tuple(_test(test, findings.line_of(("tests", index))) for index, test in enumerate(tree["tests"])),
    )


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _rule(tree: Tree, when: ActCondition, zone_name: str) -> Rule:
    valid_from, valid_until = -inf, inf
    if tree["valid"]:
        first, last = map(date.fromisoformat, tree["valid"])
        valid_from, valid_until = day_start_ms(first, zone_name), day_start_ms(last, zone_name, days_later=1)
    limit = tree["limit"]
    return Rule(
        id=tree["id"],
        name=tree["name"] or tree["id"],
        test=when,
        event_types=when.event_types,
        points=tree["points"],
        dimension=tree["dimension"],
        group=tree["group"],
        half_life_ms=number(tree["half_life"]),
        cap=_or(tree["cap"], inf),
        per=tree["per"],
        per_max=_or(tree["per_max"], inf),
        limit=Limit(limit["times"], limit["per"], limit["by"]) if limit else None,
        tag_weight=tree["tag_weight"],
        tags=tuple(tree["tags"] or ()),
        valid_from_ms=valid_from,
        valid_until_ms=valid_until,
        activity=tree["activity"],
        was=tree["was"],
    )


def _act_fields(conditions: Iterable[ActCondition], rules: list[Tree], *, foreign: bool) -> frozenset[str]:
    found = {"url"} if foreign else set[str]()
    for condition in conditions:
        found |= condition.fields
    for rule in rules:
        found.update(name for name in (rule["per"], (rule["limit"] or {}).get("by")) if name)
    return frozenset(found)


def _fit_block(tree: Tree) -> FitBlock:
    return FitBlock(
        tree["id"], tree["trait"], tuple(FitCase(value_test(case["is"]), case["points"]) for case in tree["cases"])
    )


def _marks(bounds: dict[str, float]) -> tuple[tuple[int, float], ...]:
    return tuple((int(mark), bound) for mark, bound in bounds.items())


def _stage(tree: Tree) -> Stage:
    return Stage(
        id=tree["id"],
        owner=tree["owner"],
        enter=lead_condition(tree["enter"]) if tree["enter"] else None,
        only_known=bool(tree["enter"]) and needs_known(tree["enter"]),
        exit=tuple(ExitTerm(term["kind"], term["bound"], term["dimension"]) for term in tree["exit"] or ()),
        min_dwell_ms=tree["min_dwell"],
        cooldown_ms=tree["cooldown"],
        feedback=tuple(tree["feedback"] or ()),
        stuck_after_ms=tree["stuck_after"],
    )


def _alerts(tree: Tree) -> Alerts:
    budget, window_ms = tree["budget"]
    routes = tuple(map(_route, tree["routes"]))
    return Alerts(tree["quiet_period"], budget, window_ms, tree["escalate_to"], routes)


def _route(tree: Tree) -> Route:
    return Route(
        name=tree["name"] or _route_name(tree),
        send_to=tuple(tree["send_to"]),
        ack_within_ms=tree["ack_within"],
        enters=tree["enters"],
        leaves=tree["leaves"],
        leaves_to=tree["to"],
        does=tuple(tree["does"] or ()),
        in_stages=tuple(tree["in"] or ()),
        stuck_in=tuple(tree["stuck_in"] or ()),
        when=lead_condition(tree["when"]) if tree["when"] else None,
    )


def _route_name(tree: Tree) -> str:
    key = next(key for key in ("enters", "leaves", "does", "stuck_in") if tree[key])
    value = tree[key]
    return f"{key.replace('_', ' ')} {value if isinstance(value, str) else ', '.join(value)}"


def _test(tree: Tree, line: int) -> ModelTest:
    return ModelTest(
        name=tree["name"],
        line=line,
        traits={name: _single(values) for name, values in tree["traits"].items()},
        given=tuple(
            (act["at"], {name: _single(value) for name, value in act["fields"].items()}) for act in tree["given"]
        ),
        expect=tuple((each["at"], expectations(each["when"])) for each in tree["expect"]),
    )


def _single(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value
