"""What is allowed but hardly meant. Needs no log; works on the filled tree of a file without errors."""

from collections.abc import Iterator
from math import inf
from typing import Any

from processors.model.patterns import any_pattern, normal
from processors.model.problems import Findings, Path
from processors.model.scalars import is_decimal, number_text, split_test
from processors.model.stage_checks import required
from processors.model.values import number_tests
from schemas.event_names import BUILT_IN_NAMES
from schemas.nearest import did_you_mean

Tree = dict[str, Any]

_MISTYPED = 0.85  # likeness from which on a name is hardly another one: pageview is, stream_watched is not


def find_warnings(tree: Tree, findings: Findings) -> None:
    _mistyped_events(tree, findings)
    _hidden_cases(tree, findings)
    _endless_points(tree, findings)
    _out_of_reach(tree, findings)


def _mistyped_events(tree: Tree, findings: Findings) -> None:
    for index, rule in enumerate(tree["rules"]):
        for path, name in _event_names(rule["when"], ("rules", index, "when")):
            meant = did_you_mean(name, sorted(BUILT_IN_NAMES), likeness=_MISTYPED)
            if meant and name not in BUILT_IN_NAMES:
                findings.warn(path, f'only acts that are sent as "{name}" fit.{meant}')


def _event_names(condition: Tree, path: Path) -> Iterator[tuple[Path, str]]:
    """The names that a condition tests for exactly, each with its place."""
    for index, name in enumerate(condition.get("event", ())):
        if "*" not in name:
            several = len(condition["event"]) > 1
            yield (*path, "event", index) if several else (*path, "event"), name
    if "not" in condition:
        yield from _event_names(condition["not"], (*path, "not"))
    for joiner in ("any", "all"):
        for index, inner in enumerate(condition.get(joiner, ())):
            yield from _event_names(inner, (*path, joiner, index))


def _endless_points(tree: Tree, findings: Findings) -> None:
    for index, rule in enumerate(tree["rules"]):
        if rule["enabled"] and rule["points"] and rule["half_life"] == inf:
            message = "its points never fade, so every visitor who earned them is kept for ever. Write a half_life such as 365d."
            findings.warn(("rules", index, "half_life"), message)


def _hidden_cases(tree: Tree, findings: Findings) -> None:
    for number, block in enumerate(tree["fit"]):
        for index, case in enumerate(block["cases"]):
            earlier = [text for other in block["cases"][:index] for text in other["is"]]
            if all(any(_covers(old, text) for old in earlier) for text in case["is"]):
                message = "can never pay: earlier cases of the block fit whatever it fits. Move it up, or remove it."
                findings.warn(("fit", number, "cases", index), message)


def _covers(old: str, new: str) -> bool:
    """Does every value that fits `new` fit `old`? False where that is not plain to see."""
    old_test, new_test = split_test(old), split_test(new)
    if old_test is None:
        # A `*` of `new` can only meet a `*` of `old`, so a text that fits as it stands fits whatever `*` stands for.
        return new_test is None and any_pattern([old])(normal(new))
    if new_test is None:
        return is_decimal(new) and number_tests([old])[0](float(new))
    old_bound, new_bound = float(old_test[1]), float(new_test[1])
    upward = {"at least", "above"}
    if (old_test[0] in upward) != (new_test[0] in upward):
        return False
    if old_bound == new_bound:
        return old_test[0] == new_test[0] or old_test[0] in ("at least", "at most")
    return new_bound > old_bound if old_test[0] in upward else new_bound < old_bound


def _out_of_reach(tree: Tree, findings: Findings) -> None:
    tops = {f"dimensions.{name}": _top_of_dimension(tree, name) for name in tree["dimensions"]}
    total = sum(tops.values())
    cap = tree["score"]["cap"]
    tops["score"] = total if cap is None else min(total, cap)
    for index, stage in enumerate(tree["stages"]):
        for name, top in tops.items():
            needed = required(stage["enter"] or {}, name)
            if needed > top > 0:
                message = (
                    f"needs {name} {number_text(needed)}, but the caps allow at most {number_text(top)}, so no lead "
                    "gets here by its score. Raise a cap, or lower the threshold."
                )
                path = ("stages", index, "enter")
                findings.warn(path if findings.knows(path) else ("mql", "enter"), message)


def _top_of_dimension(tree: Tree, name: str) -> float:
    """The most a dimension can ever hold. A rule without any cap can grow without bound."""
    total = 0.0
    grouped: dict[str, float] = {}
    for rule in tree["rules"]:
        if rule["dimension"] != name or not rule["enabled"] or rule["points"] <= 0:
            continue
        top = inf if rule["cap"] is None else rule["cap"]
        if rule["group"] is None:
            total += top
        else:
            grouped[rule["group"]] = grouped.get(rule["group"], 0.0) + top
    for group, top in grouped.items():
        cap = tree["groups"][group]["cap"]
        total += top if cap is None else min(top, cap)
    cap = tree["dimensions"][name]["cap"]
    return total if cap is None else min(total, cap)
