"""`leadstream init`: what it writes can be used as it is."""

import re
import tomllib
from importlib import resources
from pathlib import Path

import pytest
from click.testing import CliRunner

from streams.cli import cli
from streams.cli.exits import CommandError
from streams.settings.config import Settings, environment_of, load_settings

NAMES = ["model.yaml", "leadstream.toml", ".env.example"]
SECRETS = {
    "collector-key-secret": "x" * 32,
    "website-key": "web_1",
    "channel-sales": "terminal:",
    "webhook-secret": "w",
    "kafka-password": "k",
}


def run(folder: Path | str) -> str:
    result = CliRunner().invoke(cli, ["init", str(folder)], catch_exceptions=False, standalone_mode=False)
    return result.output


def enabled(text: str) -> str:
    """The settings file with every line switched on that is only commented out; `# ` and `##` begin words."""
    return re.sub(r"(?m)^#(?=[\[a-z])", "", text)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_writes_three_files_and_says_what_to_do_next(folder: Path) -> None:
    output = run(folder / "new" / "site")
    assert sorted(path.name for path in (folder / "new" / "site").iterdir()) == sorted(NAMES)
    assert "wrote model.yaml (7 rules), leadstream.toml, .env.example" in output
    assert '<script async src="http://127.0.0.1:8080/t.js" data-key="dev"></script>' in output
    assert re.search(r"site && \S*leadstream up          then open http://127.0.0.1:8080/\n", output)
    assert re.search(r"\nNext: \S*leadstream up ", run(".")), "nothing to change to"


@pytest.mark.parametrize("there", NAMES)
def test_it_never_overwrites_and_then_writes_nothing_at_all(folder: Path, there: str) -> None:
    (folder / there).write_text("mine")
    with pytest.raises(CommandError, match=f"{re.escape(there)} in . is already there; nothing was written") as error:
        run(".")
    assert error.value.code == 4
    assert [path.name for path in folder.iterdir()] == [there]
    assert (folder / there).read_text() == "mine"


def test_a_folder_that_cannot_be_is_wrong_input(folder: Path) -> None:
    (folder / "file").write_text("")
    with pytest.raises(CommandError, match="file") as error:
        run("file/below")
    assert error.value.code == 2


def test_the_settings_file_changes_nothing_as_it_is_written(folder: Path) -> None:
    run(".")
    assert load_settings(None, {}) == Settings()


def test_every_line_of_the_settings_file_can_be_switched_on(folder: Path) -> None:
    run(".")
    (folder / "secrets").mkdir()
    for name, text in SECRETS.items():
        (folder / "secrets" / name).write_text(text)
    file = folder / "leadstream.toml"
    file.write_text(enabled(file.read_text()))
    settings = load_settings(None, {})
    assert settings.collector.key_secret == "x" * 32
    assert settings.collector.origins == ["https://www.acme.example", "https://docs.acme.example"]
    assert (settings.write_keys[0].key, settings.channels["sales"].url) == ("web_1", "terminal:")
    assert (settings.webhook.secret, settings.worker.status_port, settings.sinks.status_port) == ("w", 9101, 9102)


def test_what_the_settings_file_calls_a_default_is_one() -> None:
    text = enabled(resources.files("streams.templates").joinpath("leadstream.toml").read_text("utf-8"))
    said, defaults = tomllib.loads(text), Settings()
    for section, keys in {"kafka": ["bootstrap_servers", "partitions"], "collector": ["host", "port"]}.items():
        for key in keys:
            assert said[section][key] == getattr(getattr(defaults, section), key), key
    assert said["redis"]["url"] == defaults.redis.url
    assert said["alerts"]["timezone"] == defaults.alerts.timezone


def test_the_model_passes_its_check_with_its_tests_and_without_a_warning(folder: Path) -> None:
    run(".")
    result = CliRunner().invoke(cli, ["model", "check", "model.yaml"])
    assert result.exit_code == 0
    assert "1 of 1 tests passed" in result.output
    assert "warn" not in result.output


def test_the_example_environment_holds_only_variables_that_are_read(folder: Path) -> None:
    run(".")
    lines = (folder / ".env.example").read_text().splitlines()
    values = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    known = {*environment_of(Settings()), "KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL"}
    assert set(values) <= known
    assert load_settings(None, values).collector.origins == ["https://www.acme.example"]
