"""Checks of the stages: who may enter and exit what, flapping, and thresholds out of reach."""

from math import inf
from typing import Any

from processors.model.problems import Findings, Path
from processors.model.scalars import number_text, split_test
from schemas.nearest import did_you_mean

Tree = dict[str, Any]


def check_stages(tree: Tree, findings: Findings) -> None:
    stages: list[Tree] = tree["stages"]
    if findings.knows(("stages",)) and tree["mql"] is not None:
        findings.error(("mql",), "stands beside stages, which replaces the default stages. Keep one of the two.")
    if not stages:
        findings.error(("stages",), "names no stage. Add at least {id: visitor}.")
        return
    _check_owners(stages, findings)
    _check_words(stages, findings)
    for index, stage in enumerate(stages):
        path: Path = ("stages", index)
        for term in stage["exit"] or ():
            if term["kind"] == "dimension" and term["dimension"] not in tree["dimensions"]:
                near = did_you_mean(term["dimension"], list(tree["dimensions"]))
                findings.error((*path, "exit"), f'there is no dimension "{term["dimension"]}".{near}')
            _check_flap(stage, term, path, findings)


def _check_owners(stages: list[Tree], findings: Findings) -> None:
    if stages[0]["owner"] == "sales":
        findings.error(
            ("stages", 0, "owner"), "every lead begins in the first stage, so score must own it. Write score."
        )
    for index, stage in enumerate(stages):
        for key in ("enter", "exit"):
            if stage[key] is None:
                continue
            path: Path = ("stages", index, key)
            if index == 0:
                findings.error(path, f'the first stage is where every lead begins and has no "{key}". Remove it.')
            elif stage["owner"] == "sales":
                findings.error(path, f'a stage of sales is moved by feedback alone and has no "{key}". Remove it.')


def _check_words(stages: list[Tree], findings: Findings) -> None:
    first: dict[str, str] = {}
    for index, stage in enumerate(stages):
        for word in stage["feedback"] or ():
            other = first.setdefault(word, stage["id"])
            if other != stage["id"]:
                message = f'"{word}" is a word of stage "{other}" too, and it can move a lead to only one. Keep one.'
                findings.error(("stages", index, "feedback"), message)


def _check_flap(stage: Tree, term: Tree, path: Path, findings: Findings) -> None:
    """Refuses an exit above an enter: who just came in would fall at once."""
    if term["kind"] == "idle" or not stage["enter"]:
        return
    for text in _lower_tests(stage["enter"], term["text"]):
        bound = _lower_bound(text)
        if bound is not None and term["bound"] > bound:
            place = (*path, "exit") if findings.knows((*path, "exit")) else ("mql", "exit")
            exit_text = f"{term['text']}: below {number_text(term['bound'])}"
            message = f'"{exit_text}" is above enter "{term["text"]}: {text}", so the lead would flap. Lower exit.'
            findings.error(place, message)
            return


def _lower_tests(condition: Tree, name: str) -> list[str]:
    """Texts of all tests of the field outside `not`."""
    found = list(condition.get(name, ()))
    for joiner in ("any", "all"):
        for inner in condition.get(joiner, ()):
            found += _lower_tests(inner, name)
    return found


def _lower_bound(text: str) -> float | None:
    test = split_test(text)
    return float(test[1]) if test and test[0] in ("at least", "above") else None


def required(condition: Tree, name: str) -> float:
    """The least value of a field with which the condition can hold; -inf where there is none."""
    bounds = [bound if (bound := _lower_bound(text)) is not None else -inf for text in condition.get(name, ())]
    least = min(bounds, default=-inf)
    for inner in condition.get("all", ()):
        least = max(least, required(inner, name))
    options = [required(inner, name) for inner in condition.get("any", ())]
    return max(least, min(options)) if options else least
