"""Model file -> model, or everything that is wrong with it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from processors.model.build import build
from processors.model.defaults import fill_in
from processors.model.keys import MODEL
from processors.model.model import ScoringModel
from processors.model.problems import Findings, ModelErrors, Problem
from processors.model.references import check_references
from processors.model.stage_checks import check_stages
from processors.model.warnings import find_warnings
from processors.model.yaml_nodes import read_nodes

Tree = dict[str, Any]


class Checked(NamedTuple):
    model: ScoringModel
    findings: Findings
    rules: Mapping[str, int]  # rule id -> its index in the file

    @property
    def warnings(self) -> list[Problem]:
        """In the order of the file."""
        return self.findings.warnings

    def warn_of_condition(self, rule: str, message: str) -> None:
        """Add what only somebody with a log can know: something about the `when` of a rule."""
        self.findings.warn(("rules", self.rules[rule], "when"), message)


def check_model(text: str, file: str = "model.yaml") -> Checked:
    """The model, and what is allowed but hardly meant.

    Raises:
        ModelErrors: all errors at once; `file` is how they name the file.
    """
    tree, findings = _read(text, file)
    find_warnings(tree, findings)
    return Checked(build(tree, findings), findings, {rule["id"]: index for index, rule in enumerate(tree["rules"])})


def model_tree(text: str, file: str = "model.yaml") -> Tree:
    """What the file says, with its defaults: as `build` takes it. Durations are ms.

    Raises:
        ModelErrors: all errors at once.
    """
    return _read(text, file)[0]


def read_model(text: str, file: str = "model.yaml") -> ScoringModel:
    """The model alone; see `check_model`.

    Raises:
        ModelErrors: all errors at once.
    """
    return check_model(text, file).model


def _read(text: str, file: str) -> tuple[Tree, Findings]:
    findings = Findings(file)
    root = read_nodes(text, findings)
    if root is None:
        if not findings.errors:
            findings.error((), "the file is empty. Begin with leadstream: 1 and name: my-model.")
        raise ModelErrors(findings.errors)
    tree = MODEL.read(root, (), findings)
    fill_in(tree)
    check_references(tree, findings)
    check_stages(tree, findings)
    if findings.errors:
        raise ModelErrors(findings.errors)
    return tree, findings
