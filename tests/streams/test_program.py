"""What is printed to be typed next can be typed."""

import os
import shutil
import sysconfig
from pathlib import Path

import pytest

from streams.program import program


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of an installation in the working directory, which PATH does not name."""
    folder = tmp_path / ".venv" / "bin"
    folder.mkdir(parents=True)
    (folder / "leadstream").write_text("#!/bin/sh\n")
    (folder / "leadstream").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", os.defpath)
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(folder))
    return folder / "leadstream"


def test_a_shell_that_finds_the_command_needs_its_name_alone(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(script.parent), prepend=os.pathsep)
    assert program() == "leadstream"


def test_else_it_is_called_by_its_path_from_where_one_is(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert program() == ".venv/bin/leadstream"
    assert program(Path("my-site")) == "../.venv/bin/leadstream"
    monkeypatch.chdir("/")
    assert program() == str(script).removeprefix("/")
    assert shutil.which(program()) is not None


def test_a_folder_with_a_space_is_quoted(tmp_path: Path, script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = tmp_path / "my env"
    shutil.copytree(script.parent, moved)
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(moved))
    assert program() == "'my env/leadstream'"


def test_where_no_script_is_installed_the_name_has_to_do(script: Path) -> None:
    script.unlink()
    assert program() == "leadstream"
