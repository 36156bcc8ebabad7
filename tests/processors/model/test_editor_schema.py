import json
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from processors.model.editor_schema import json_schema
from processors.models import SHIPPED_MODELS, load_shipped

VALIDATOR = Draft202012Validator(json_schema())


def as_an_editor_sees_it(text: str) -> Any:
    return json.loads(json.dumps(yaml.safe_load(text)))  # keys of JSON are text: grade.score has 1, 2, 3


def test_it_is_a_json_schema() -> None:
    Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("name", SHIPPED_MODELS)
def test_the_shipped_models_fit(name: str) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(as_an_editor_sees_it(load_shipped(name)))] == []


WRONG = [
    ("points: 15", "poinst: 15"),
    ("event: page_view, url", "evnet: page_view, url"),
    ("half_life: 90d", "half_life: 90"),
    ("pick: first", "pick: frist"),
    ("times: 1, per: day", "times: 0, per: day"),
    ("did: demo-request", "dit: demo-request"),
    ("exit: {score: below 40}", "exit: {scroe: below 40}"),
    ("given: [{at: 0d", "given: [{att: 0d"),
    ("owner: score", "owner: sails"),
    ("send_to: lead-owner", "sent_to: lead-owner"),
]


@pytest.mark.parametrize(("right", "wrong"), WRONG)
def test_what_is_misspelt_does_not_fit(right: str, wrong: str) -> None:
    text = load_shipped("reference")
    assert right in text
    assert not VALIDATOR.is_valid(as_an_editor_sees_it(text.replace(right, wrong, 1)))
