"""Conditions, compiled: trees of `condition_shapes` -> tests of one act, or of a lead at one instant."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from processors.model.act_fields import ACT_FIELDS, PAGE_FIELDS, act_value
from processors.model.lead_fields import lead_field_kind, lead_value
from processors.model.model import ActTest, LeadTest
from processors.model.urls import any_url_pattern, split_url
from processors.model.values import ValueTest, near_test, value_test
from processors.model.views import Act, LeadView
from schemas.records import TrackedEvent

Tree = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ActCondition:
    """An `ActTest` in two halves: `page` needs only the type and the URL of the act, so its answer can be kept; `rest`
    needs the whole act. All of both must hold.
    """

    page: tuple[ActTest, ...]
    rest: tuple[ActTest, ...]
    event_types: frozenset[str] | None  # the only types that can fit; None: any
    fields: frozenset[str]  # act fields that it reads

    def __call__(self, act: Act) -> bool:
        for test in self.page:
            if not test(act):
                return False
        for test in self.rest:  # noqa: SIM110 - a generator costs three times as much on this path
            if not test(act):
                return False
        return True


def act_condition(tree: Tree) -> ActCondition:
    """All entries of the tree must hold."""
    page: list[ActTest] = []
    rest: list[ActTest] = []
    for name, value in tree.items():
        inner = _inner_conditions(name, value)
        only_page = name in PAGE_FIELDS if inner is None else not any(condition.rest for condition in inner)
        test = _field_test(name, value) if inner is None else _joined(name, inner)
        (page if only_page else rest).append(test)
    return ActCondition(tuple(page), tuple(rest), _event_types(tree), _fields(tree))


def _inner_conditions(name: str, value: Any) -> list[ActCondition] | None:
    """The conditions under a joiner; None for a field."""
    if name == "not":
        return [act_condition(value)]
    return [act_condition(tree) for tree in value] if name in ("any", "all") else None


def _joined(name: str, inner: Sequence[Callable[[Any], bool]]) -> Callable[[Any], bool]:
    first = inner[0]
    if name == "not":
        return lambda subject: not first(subject)
    if len(inner) == 1:
        return first
    if name == "any":
        return lambda subject: any(test(subject) for test in inner)
    return lambda subject: all(test(subject) for test in inner)


def _field_test(name: str, values: Sequence[str]) -> ActTest:
    if name == "event":
        return _event_test(values)
    if ACT_FIELDS.get(name) == "url":
        return _url_test(act_value(name), values)
    return _value_field_test(act_value(name), value_test(values))


def _event_test(names: Sequence[str]) -> ActTest:
    if any("*" in name for name in names):
        fits = value_test(names)
        return lambda act: fits(act.event["type"])
    known = frozenset(names)
    return lambda act: act.event["type"] in known


def _url_test(read: Callable[[TrackedEvent], Any], patterns: Sequence[str]) -> ActTest:
    fits = any_url_pattern(patterns)

    def test(act: Act) -> bool:
        url = read(act.event)
        return bool(url) and fits(split_url(url))

    return test


def _value_field_test(read: Callable[[TrackedEvent], Any], fits: ValueTest) -> ActTest:
    def test(act: Act) -> bool:
        value = read(act.event)
        return value is not None and fits(value)

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
    return tests[0] if len(tests) == 1 else _joined("all", tests)


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
        return _joined("not", [lead_condition(value)])
    if name in ("any", "all"):
        return _joined(name, [lead_condition(inner) for inner in value])
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
