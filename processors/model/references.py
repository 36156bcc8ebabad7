"""Checks across the file: names that must exist, and settings that contradict each other. Works on the filled tree,
in which a wrong value is None.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

from processors.model.problems import Findings, Path
from schemas.nearest import did_you_mean

Tree = dict[str, Any]


class Names:
    """What the file declares."""

    def __init__(self, tree: Tree) -> None:
        self.dimensions = list(tree["dimensions"])
        self.groups = list(tree["groups"])
        self.tags = [tag["id"] for tag in tree["tags"] if tag["id"]]
        self.rules = [rule["id"] for rule in tree["rules"] if rule["id"]]
        self.stages = [stage["id"] for stage in tree["stages"] if stage["id"]]


def check_references(tree: Tree, findings: Findings) -> None:
    names = Names(tree)
    _check_dimensions(tree, findings)
    _check_rules(tree, names, findings)
    _check_bounds(tree, findings)
    for stage, path in _each(tree["stages"], "stages"):
        check_lead_condition(stage["enter"], (*path, "enter"), names, findings)
    for route, path in _each(tree["alerts"]["routes"], "alerts", "routes"):
        _check_route(route, path, names, findings)
    for test, path in _each(tree["tests"], "tests"):
        words = {word for stage in tree["stages"] for word in stage["feedback"] or ()}
        for act, at in _each(test["given"], *path, "given"):
            _check_one(act["fields"].get("feedback"), sorted(words), (*at, "feedback"), "feedback word", findings)
        for expect, at in _each(test["expect"], *path, "expect"):
            check_lead_condition(expect["when"], at, names, findings)


def _each(trees: Iterable[Tree], *path: str | int) -> Iterator[tuple[Tree, Path]]:
    for index, tree in enumerate(trees):
        yield tree, (*path, index)


def _check_one(name: str | None, known: list[str], path: Path, what: str, findings: Findings) -> None:
    if name is not None and name not in known:
        listed = ", ".join(known) or "none"
        message = f'there is no {what} "{name}".{did_you_mean(name, known)} Declared: {listed}.'
        findings.error(path, message if len(message) <= 400 else f"{message[:400]}...")


def _check_each(given: Iterable[str] | None, known: list[str], path: Path, what: str, findings: Findings) -> None:
    for index, name in enumerate(given or ()):
        place = (*path, index)
        _check_one(name, known, place if findings.knows(place) else path, what, findings)


def _check_dimensions(tree: Tree, findings: Findings) -> None:
    for name in tree["dimensions"]:
        _check_decay(("dimensions", name), findings)


def _check_decay(path: Path, findings: Findings) -> None:
    if findings.knows((*path, "keep")) and findings.knows((*path, "half_life")):
        findings.error((*path, "keep"), "stands beside half_life, and both say how points fade. Keep one.")


def _check_rules(tree: Tree, names: Names, findings: Findings) -> None:
    home: dict[str, tuple[str, str]] = {}  # group -> its dimension, and the rule that put it there
    heirs: dict[str, str] = {}  # former id -> the rule that takes over its points
    for rule, path in _each(tree["rules"], "rules"):
        _check_one(rule["dimension"], names.dimensions, (*path, "dimension"), "dimension", findings)
        _check_one(rule["group"], names.groups, (*path, "group"), "group", findings)
        _check_each(rule["tags"], names.tags, (*path, "tags"), "tag", findings)
        _check_decay(path, findings)
        if rule["per_max"] is not None and rule["per"] is None:
            findings.error((*path, "per_max"), '"per_max" belongs to "per". Add per: webinar.attended_minutes.')
        if rule["was"] in names.rules:
            findings.error((*path, "was"), f'there is still a rule "{rule["was"]}". Remove that rule, or this key.')
        elif rule["was"] and heirs.setdefault(rule["was"], rule["id"]) != rule["id"]:
            message = f'rule "{heirs[rule["was"]]}" takes over the points of "{rule["was"]}" already. Keep one.'
            findings.error((*path, "was"), message)
        group = rule["group"]
        if group in names.groups and rule["dimension"] in names.dimensions:
            dimension, first = home.setdefault(group, (rule["dimension"], rule["id"]))
            if dimension != rule["dimension"]:
                message = (
                    f'group "{group}" would span two dimensions: "{rule["dimension"]}" here and "{dimension}" '
                    f'in rule "{first}". Use one group for each dimension.'
                )
                findings.error((*path, "group"), message)


def _check_bounds(tree: Tree, findings: Findings) -> None:
    floor, cap = tree["score"]["floor"], tree["score"]["cap"]
    if floor is not None and cap is not None and floor > cap:
        findings.error(("score", "floor"), "is above cap, so every score would be the same. Lower floor.")
    for kind in ("fit", "score"):
        _check_order(tree["grade"][kind], ("grade", kind), falling=True, findings=findings)
    _check_order(tree["rfm"]["recency"], ("rfm", "recency"), falling=False, findings=findings)
    for kind in ("frequency", "depth"):
        _check_order(tree["rfm"][kind], ("rfm", kind), falling=True, findings=findings)


def _check_order(bounds: Tree, path: Path, *, falling: bool, findings: Findings) -> None:
    marks = [(mark, bound) for mark, bound in bounds.items() if bound is not None]
    for (better, high), (worse, low) in pairwise(marks):
        if (high <= low) if falling else (high >= low):
            order = "below" if falling else "above"
            place = (*path, worse) if findings.knows((*path, worse)) else (*path, better)
            findings.error(place, f"{worse} must be {order} {better}, or no lead can earn {worse}. Change one bound.")


def _check_route(route: Tree, path: Path, names: Names, findings: Findings) -> None:
    triggers = [key for key in ("enters", "leaves", "does", "stuck_in") if route[key] is not None]
    if len(triggers) != 1 and not any(route[key] == [] for key in ("does", "stuck_in")):
        said = " and ".join(triggers) if triggers else "none of them"
        findings.error(
            path, f"a route has one of enters, leaves, does, stuck_in; this has {said}. Make one route for each."
        )
    for key, owner in (("to", "leaves"), ("in", "does")):
        if route[key] is not None and route[owner] is None:
            findings.error((*path, key), f'"{key}" belongs to "{owner}". Add {owner}, or remove {key}.')
    for key in ("enters", "leaves", "to"):
        _check_one(route[key], names.stages, (*path, key), "stage", findings)
    for key in ("in", "stuck_in"):
        _check_each(route[key], names.stages, (*path, key), "stage", findings)
    _check_each(route["does"], names.rules, (*path, "does"), "rule", findings)
    check_lead_condition(route["when"], (*path, "when"), names, findings)


def check_lead_condition(tree: Tree | None, path: Path, names: Names, findings: Findings) -> None:
    """Dimensions, tags, stages and rules that a condition names exist. Patterns over stages are not judged."""
    for key, value in (tree or {}).items():
        at = (*path, key)
        head, _, name = key.partition(".")
        if key == "not":
            check_lead_condition(value, at, names, findings)
        elif key in ("any", "all"):
            for index, inner in enumerate(value):
                check_lead_condition(inner, (*at, index), names, findings)
        elif head == "dimensions":
            _check_one(name, names.dimensions, at, "dimension", findings)
        elif head == "tags":
            _check_one(name, names.tags, at, "tag", findings)
        elif key == "stage":
            _check_each([stage for stage in value if "*" not in stage], names.stages, at, "stage", findings)
        elif key == "did":
            _check_each(value, names.rules, at, "rule", findings)
