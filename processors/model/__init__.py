"""The scoring model: read from its file, checked, compiled. `docs/scoring-model.md` says what every key means."""

from processors.model.editor_schema import json_schema
from processors.model.given import event_from_fields, known_traits
from processors.model.model import ScoringModel
from processors.model.problems import ModelErrors, Problem
from processors.model.reader import Checked, check_model, read_model

__all__ = [
    "Checked",
    "ModelErrors",
    "Problem",
    "ScoringModel",
    "check_model",
    "event_from_fields",
    "json_schema",
    "known_traits",
    "read_model",
]
