"""What a run is told, and what it ends with. No process runs."""

import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.chaos import __main__ as runner
from tests.chaos.faults_of_want import gives_a_reason
from tests.chaos.site import Ending


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the runs were told; each is OK."""
    told: list[Any] = []

    async def run(*arguments: Any) -> dict[str, Any]:
        told.append(arguments)
        return {"verdict": "OK"}

    monkeypatch.setattr(runner, "_run", run)
    return told


def _main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["chaos", *arguments])
    return runner.main()


@pytest.mark.parametrize(("verdict", "code"), [("OK", 0), ("MORE", 0), ("LESS", 1)])
def test_the_exit_code_is_the_verdict(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, verdict: str, code: int) -> None:
    async def run(*_: Any) -> dict[str, Any]:
        return {"verdict": verdict}

    monkeypatch.setattr(runner, "_run", run)
    assert _main(monkeypatch, "--logs", str(tmp_path)) == code


def test_faults_are_taken_by_name(monkeypatch: pytest.MonkeyPatch, ran: list[Any]) -> None:
    assert _main(monkeypatch, "--only", "link_cut,sink_killed", "--seed", "7") == 0
    [(_, seed, names, _)] = ran
    assert (seed, names) == (7, ["link_cut", "sink_killed"])


@pytest.mark.parametrize("only", ["wrong", "link_cut,wrong", ""])
def test_a_fault_that_does_not_exist_is_refused_with_those_that_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ran: list[Any], only: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        _main(monkeypatch, "--only", only)
    assert (ended.value.code, ran) == (2, [])
    said = capsys.readouterr().err
    assert f"no fault {'wrong' if only else '(empty)'}; there are worker_killed" in said


def test_the_leftovers_of_a_run_that_was_killed_are_not_used(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, ran: list[Any]
) -> None:
    (tmp_path / "spool-disk").mkdir()
    with pytest.raises(SystemExit) as ended:
        _main(monkeypatch, "--logs", str(tmp_path))
    assert (ended.value.code, ran) == (2, [])
    assert "is not empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("code", "said", "reason"),
    [
        (70, "worker stops: no memory: Exception in callback", True),
        (1, "MemoryError", True),
        (0, "worker stops: a reason", False),
        (70, "it just ended", False),
        (-signal.SIGSEGV, "MemoryError", False),
        (-signal.SIGSEGV, "Fatal Python error: Segmentation fault", True),
        (-signal.SIGKILL, "Fatal Python error: Segmentation fault", False),
    ],
)
def test_an_end_for_want_of_something_has_a_reason(code: int, said: str, reason: bool) -> None:
    assert gives_a_reason(Ending(code, said)) is reason
