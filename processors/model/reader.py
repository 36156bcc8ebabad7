"""Model file -> model, or everything that is wrong with it."""

from typing import NamedTuple

from processors.model.build import build
from processors.model.defaults import fill_in
from processors.model.keys import MODEL
from processors.model.model import ScoringModel
from processors.model.problems import Findings, ModelErrors, Problem
from processors.model.references import check_references
from processors.model.stage_checks import check_stages
from processors.model.warnings import find_warnings
from processors.model.yaml_nodes import read_nodes


class Checked(NamedTuple):
    model: ScoringModel
    warnings: list[Problem]


def check_model(text: str, file: str = "model.yaml") -> Checked:
    """The model, and what is allowed but hardly meant.

    Raises:
        ModelErrors: all errors at once; `file` is how they name the file.
    """
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
    find_warnings(tree, findings)
    return Checked(build(tree, findings), findings.warnings)


def read_model(text: str, file: str = "model.yaml") -> ScoringModel:
    """The model alone; see `check_model`.

    Raises:
        ModelErrors: all errors at once.
    """
    return check_model(text, file).model
