import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from click.testing import CliRunner

from streams.cli import cli
from streams.demo.report import DemoReport
from streams.demo.run import Demo
from streams.embedded.process import StartError
from streams.program import program
from tests.streams.demo.runs import good_report


def _ending_with(monkeypatch: pytest.MonkeyPatch, report: DemoReport) -> None:
    async def run(self: Demo, on_report: Callable[[DemoReport], None]) -> DemoReport:
        self._view.summary(report, 60)
        on_report(report)
        return report

    monkeypatch.setattr(Demo, "run", run)


def test_a_good_run_ends_with_0(monkeypatch: pytest.MonkeyPatch) -> None:
    _ending_with(monkeypatch, good_report())
    assert CliRunner().invoke(cli, ["demo", "--port", "0"], standalone_mode=False).return_value == 0


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_broken_invariant_ends_with_1(monkeypatch: pytest.MonkeyPatch, options: list[str]) -> None:
    _ending_with(monkeypatch, replace(good_report(), lost=1))
    ended = CliRunner().invoke(cli, ["demo", "--port", "0", *options], standalone_mode=False)
    assert ended.return_value == 1
    assert "FAIL 1 lost" in ended.output


def test_with_json_only_the_report_is_on_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    _ending_with(monkeypatch, good_report())
    ended = CliRunner().invoke(cli, ["demo", "--port", "0", "--json"], standalone_mode=False)
    assert json.loads(ended.stdout)["accepted"] == 1_000
    assert "Nothing leaves this machine" in ended.stderr


def test_a_part_that_does_not_start_is_told_with_its_last_line(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(self: Demo, on_report: Callable[[DemoReport], None]) -> DemoReport:
        raise StartError("worker-1 ended at its start with exit code 3: cannot reach a broker")

    monkeypatch.setattr(Demo, "run", run)
    ended = CliRunner().invoke(cli, ["demo", "--port", "0"], standalone_mode=False)
    assert str(ended.exception).splitlines() == [
        "worker-1 ended at its start with exit code 3: cannot reach a broker",
        f"  Start again: {program()} demo",
    ]
    assert getattr(ended.exception, "code", None) == 3
