"""The tests in model files run on the real fold, and can fail."""

import pytest

from processors.model import read_model
from processors.models import SHIPPED_MODELS, load_shipped
from processors.run_model_tests import run_model_tests


@pytest.mark.parametrize("name", SHIPPED_MODELS)
def test_the_shipped_models_pass_their_own_tests(name: str) -> None:
    model = read_model(load_shipped(name))
    ran, failures = run_model_tests(model)
    assert [str(failure) for failure in failures] == []
    assert ran == len(model.tests)


def test_a_wrong_expectation_fails_and_says_what_was_found() -> None:
    text = load_shipped("reference").replace("score: 60, grade: B2, stage: mql", "score: 61, grade: B2, stage: mql")
    _, failures = run_model_tests(read_model(text))
    assert len(failures) == 1
    assert "expected score: 61" in str(failures[0])
    assert "found stage mql, score 60" in str(failures[0])


def test_only_the_tests_with_the_name_run() -> None:
    assert run_model_tests(read_model(load_shipped("reference")), "wechat") == (1, [])
