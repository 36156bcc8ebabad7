"""`leadstream model check|test|explain|schema`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from processors.models import load_shipped
from streams.cli import cli
from streams.cli.exits import CommandError

CALL = """{
  "type": "page", "anonymousId": "a1", "messageId": "m1", "timestamp": "2026-03-02T09:00:00Z",
  "properties": {"url": "https://www.acme.example/pricing?utm_campaign=2026-spring-x&utm_medium=cpc"}
}"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["model", *arguments])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.yaml"
    path.write_text(load_shipped("reference"))
    return path


def test_check_names_the_model_and_runs_its_tests(file: Path) -> None:
    result = run("check", str(file))
    assert result.exit_code == 0
    assert result.output.startswith("model.yaml: b2b-reference@")
    assert "2 of 2 tests passed" in result.output


def test_the_errors_of_a_file_are_data_too(file: Path) -> None:
    file.write_text(file.read_text().replace("points: 15", "poinst: 15"))
    result = run("check", str(file), "--json")
    assert isinstance(result.exception, CommandError)
    assert result.exception.code == 2
    [error, *_] = json.loads(result.stdout)["errors"]
    assert (error["key"], error["severity"]) == ("rules[0].poinst", "error")
    assert 'Did you mean "points"?' in error["message"]
    assert error["line"] > 1


def test_a_failed_test_is_a_finding(file: Path) -> None:
    file.write_text(file.read_text().replace("score: 60, grade: B2", "score: 61, grade: B2"))
    result = run("test", str(file))
    assert result.exit_code == 1
    assert "expected score: 61; found stage mql, score 60" in result.output
    assert "1 of 2 tests passed" in result.output
    assert run("test", str(file), "-k", "wechat").exit_code == 0


def test_explain_says_what_one_act_scores(file: Path, tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text(CALL)
    found = json.loads(run("explain", str(file), str(tmp_path / "event.json"), "--json").output)
    assert (found["rules"], found["score"]) == (["pricing-page", "spring-campaign"], 23.0)
    assert "+15.0  Viewed pricing" in run("explain", str(file), str(tmp_path / "event.json")).output


@pytest.mark.parametrize(
    "event",
    [
        '{"type": "page_view", "anonymous_id": "me", "url": "https://www.acme.example/pricing"}',
        '{"type": "page_view", "url": "https://www.acme.example/pricing"}',
        '{"type": "page_view", "user_id": null, "url": "https://www.acme.example/pricing"}',
        '{"type": "page", "properties": {"url": "https://www.acme.example/pricing"}}',
        '{"type": "page", "anonymousId": "me", "properties": {"url": "https://www.acme.example/pricing"}}',
    ],
)
def test_an_act_without_a_time_happens_now_and_one_without_an_id_is_a_new_visitors(
    file: Path, tmp_path: Path, event: str
) -> None:
    (tmp_path / "event.json").write_text(event)
    assert json.loads(run("explain", str(file), str(tmp_path / "event.json"), "--json").output)["score"] == 15.0


def test_explain_says_why_an_act_scores_nothing(file: Path, tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text(CALL.replace("www.acme.example", "elsewhere.example"))
    assert "its host is not one of site.hosts" in run("explain", str(file), str(tmp_path / "event.json")).output


def test_explain_names_the_event_that_was_probably_meant(file: Path, tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text('{"type": "pageview", "anonymous_id": "me"}')
    output = run("explain", str(file), str(tmp_path / "event.json")).output
    assert 'it fits no rule: no rule names the event "pageview"; the nearest name is "page_view"' in output


def test_a_mistyped_event_of_a_rule_is_warned_about_by_check_and_test(file: Path) -> None:
    file.write_text(
        file.read_text().replace('event: page_view, url: "*/careers*"', 'event: pageview, url: "*/careers*"')
    )
    for command in ("check", "test"):
        result = run(command, str(file))
        assert result.exit_code == 0
        assert (
            'rules[4].when.event: only acts that are sent as "pageview" fit. Did you mean "page_view"?' in result.stderr
        )


def test_the_schema_is_json(file: Path) -> None:
    assert json.loads(run("schema").output)["title"] == "leadstream scoring model"
