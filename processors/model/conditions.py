"""Conditions, compiled: trees of `condition_shapes` -> tests of one act, or of a lead at one instant."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, cast

from processors.model.act_fields import ACT_FIELDS, PAGE_FIELDS, act_value, record_field
from processors.model.joins import all_of, any_of, negation
from processors.model.lead_fields import lead_field_kind, lead_value
from processors.model.model import ActTest, LeadTest
from processors.model.patterns import any_pattern
from processors.model.urls import any_url_pattern, split_url
from processors.model.values import ValueTest, near_test, value_test
from processors.model.views import Act, LeadView
from schemas.event_names import normal_event_name

Tree = Mapping[str, Any]
Verdict = ActTest | bool  # settled, or what is left to ask
Decider = Callable[[Act], Verdict]


@dataclass(frozen=True, slots=True, eq=False)
class ActCondition:
    """An `ActTest` that can be asked in two steps: `decide` looks at type, URL and which other fields are there, so
    that its verdict holds for every act that shares these.
    """

    decide: Decider
    event_types: frozenset[str] | None  # the only types that can fit; None: any
    fields: frozenset[str]  # act fields that it reads
    reads_query: bool  # does a URL pattern ask for parameters?

    def __call__(self, act: Act) -> bool:
        verdict = self.decide(act)
        return verdict if isinstance(verdict, bool) else verdict(act)


def act_condition(tree: Tree) -> ActCondition:
    """All entries of the tree must hold."""
    return ActCondition(_decide_all(tree), _event_types(tree), _fields(tree), _reads_query(tree))


def _decide_all(tree: Tree) -> Decider:
    return _decide_joint([_decider(name, value) for name, value in tree.items()], all_of, settles=False)


def _decider(name: str, value: Any) -> Decider:
    if name == "not":
        return _decide_not(_decide_all(value))
    if name == "any":
        return _decide_joint([_decide_all(inner) for inner in value], any_of, settles=True)
    if name == "all":
        return _decide_joint([_decide_all(inner) for inner in value], all_of, settles=False)
    test = _field_test(name, value)
    if name in PAGE_FIELDS:
        return test
    record = record_field(name)
    return lambda act: test if cast("Mapping[str, Any]", act.event).get(record) is not None else False


def _decide_joint(parts: Sequence[Decider], join: Callable[[list[ActTest]], ActTest], *, settles: bool) -> Decider:
    """`settles` is the verdict of a part that settles the whole: true for any, false for all."""

    def decide(act: Act) -> Verdict:
        left: list[ActTest] = []
        for part in parts:
            verdict = part(act)
            if not isinstance(verdict, bool):
                left.append(verdict)
            elif verdict is settles:
                return settles
        return join(left) if left else not settles

    return decide


def _decide_not(part: Decider) -> Decider:
    def decide(act: Act) -> Verdict:
        verdict = part(act)
        return not verdict if isinstance(verdict, bool) else negation(verdict)

    return decide


def _field_test(name: str, values: Sequence[str]) -> ActTest:
    if name == "event":
        return _event_test(values)
    if ACT_FIELDS.get(name) == "url":
        return _url_test(record_field(name), values)
    read, fits = act_value(name), value_test(values)
    return lambda act: (value := read(act.event)) is not None and fits(value)


def _event_test(names: Sequence[str]) -> ActTest:
    fits = any_pattern(names)
    return lambda act: fits(normal_event_name(act.event["type"]))


def _url_test(record: str, patterns: Sequence[str]) -> ActTest:
    fits = any_url_pattern(patterns)

    def test(act: Act) -> bool:
        url: Any = cast("Mapping[str, Any]", act.event).get(record)
        return bool(url) and fits(split_url(url))

    return test


def _event_types(tree: Tree) -> frozenset[str] | None:
    """The types that the tree can fit; None where it does not say, or says it by a pattern or `not`."""
    limits: list[frozenset[str]] = []
    if "event" in tree and not any("*" in name for name in tree["event"]):
        limits.append(frozenset(tree["event"]))
    limits += [types for inner in tree.get("all", ()) if (types := _event_types(inner)) is not None]
    options = [_event_types(inner) for inner in tree.get("any", ())]
    known = [types for types in options if types is not None]
    if options and len(known) == len(options):
        limits.append(frozenset().union(*known))
    return frozenset.intersection(*limits) if limits else None


def _reads_query(tree: Tree) -> bool:
    if any("?" in pattern for pattern in tree.get("url", ())):
        return True
    inner = [*tree.get("any", ()), *tree.get("all", ()), *([tree["not"]] if "not" in tree else ())]
    return any(map(_reads_query, inner))


def _fields(tree: Tree) -> frozenset[str]:
    found: set[str] = set()
    for name, value in tree.items():
        if name == "not":
            found |= _fields(value)
        elif name in ("any", "all"):
            found.update(*map(_fields, value))
        else:
            found.add(name)
    return frozenset(found)


def lead_condition(tree: Tree) -> LeadTest:
    """All entries of the tree must hold."""
    tests = [_lead_test(name, value, tree) for name, value in tree.items() if name != "within"]
    return all_of(tests)


def needs_known(tree: Tree) -> bool:
    """Can the tree hold for no lead but one that we can write to or call?"""
    options = tree.get("any", ())
    return (
        bool(tree.get("known"))
        or any(map(needs_known, tree.get("all", ())))
        or (bool(options) and all(map(needs_known, options)))
    )


def expectations(tree: Tree) -> dict[str, LeadTest]:
    """Each entry by itself, under its text; a bare number is met within 0.001."""
    return {
        _entry_text(name, value): _lead_test(name, value, tree, near_test)
        for name, value in tree.items()
        if name != "within"
    }


def _entry_text(name: str, value: Any) -> str:
    return f"{name}: {', '.join(map(str, value)) if isinstance(value, list) else value}"


def _lead_test(
    name: str, value: Any, tree: Tree, compare: Callable[[Sequence[str]], ValueTest] = value_test
) -> LeadTest:
    if name == "not":
        return negation(lead_condition(value))
    if name in ("any", "all"):
        join = any_of if name == "any" else all_of
        return join([lead_condition(inner) for inner in value])
    if name == "did":
        return _did_test(value, tree.get("within", inf))
    if name == "known":
        wanted = bool(value)
        return lambda lead: lead.known is wanted
    read = lead_value(name)
    if lead_field_kind(name) == "url":
        url_fits = any_url_pattern(value)
        return lambda lead: bool(url := read(lead)) and url_fits(split_url(url))
    fits = compare(value)
    return lambda lead: fits(read(lead))


def _did_test(rules: Sequence[str], within_ms: float) -> LeadTest:
    def test(lead: LeadView) -> bool:
        return any(lead.did(rule, within_ms) for rule in rules)

    return test
