"""`leadstream up` refuses before anything starts. What it does when it runs: tests/e2e/test_up.py."""

import socket
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from streams.cli import cli
from streams.cli.exits import CommandError


@pytest.fixture(autouse=True)
def _nothing_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*_: object) -> None:
        raise AssertionError("something was started")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("streams.cli.up.Stack.running", start)


def refused(*arguments: str) -> CommandError:
    with pytest.raises(CommandError) as error:
        CliRunner().invoke(cli, ["up", *arguments], catch_exceptions=False, standalone_mode=False)
    return error.value


def test_a_model_with_errors_is_told_with_its_lines(tmp_path: Path) -> None:
    (tmp_path / "model.yaml").write_text("leadstream: 1\nname: x\nruls: []\n")
    error = refused()
    assert error.code == 2
    assert 'model.yaml:3:1: ruls: unknown key. Did you mean "rules"?' in str(error)


def test_a_model_that_somebody_named_must_be_there(tmp_path: Path) -> None:
    assert refused("--model", "none.yaml").code == 2
    (tmp_path / "leadstream.toml").write_text('model = "ours.yaml"')
    error = refused()
    assert (error.code, "ours.yaml: No such file" in str(error)) == (2, True)


def test_a_wrong_setting_is_told(tmp_path: Path) -> None:
    (tmp_path / "leadstream.toml").write_text('modle = "ours.yaml"')
    assert refused().code == 2


def test_a_port_in_use_is_named_with_the_option() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error = refused("--port", str(port))
    assert error.code == 4
    assert f"port {port} cannot be used: Address already in use" in str(error)
    assert "leadstream up --port " in str(error)


@pytest.mark.parametrize("servers", ["127.0.0.1", "localhost:x", "::1:9092", "a:1,", "a:0", "a:65536", "kafka://a:1"])
def test_what_is_no_address_of_brokers_is_a_usage_error_with_an_example(servers: str) -> None:
    with pytest.raises(
        click.BadParameter, match=r"is no address of brokers\. Write HOST:PORT.*localhost:9092"
    ) as error:
        CliRunner().invoke(cli, ["up", "--kafka", servers], catch_exceptions=False, standalone_mode=False)
    assert (error.value.exit_code, repr(servers) in str(error.value)) == (2, True)
