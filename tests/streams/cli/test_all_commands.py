"""What holds for every command."""

import importlib.util
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from streams.cli import _COMMANDS, cli
from streams.cli.printing import escaped
from streams.cli.reference import all_commands, document
from streams.embedded.process import free_port
from tests.streams.cli.commands import run

ROOT = Path(__file__).parents[3]
COMMANDS = dict(all_commands())
PRINTS_NO_DATA = {"leadstream init", "leadstream up", "leadstream worker", "leadstream collector", "leadstream sink"}
PRINTS_NOTHING_BUT_JSON = {"leadstream model schema"}

NEEDS_THE_BROKER = [
    ("verify",),
    ("topics", "ensure"),
    ("topics", "check"),
    ("topics", "accept-loss", "--yes"),
    ("doctor",),
    ("tail", "events", "-n", "1"),
    ("tail", "transitions"),
    ("dlq", "list"),
    ("dlq", "show", "1"),
    ("dlq", "replay", "--yes"),
    ("dlq", "drop", "1", "--yes"),
    ("send",),
]


def test_every_command_of_the_list_is_built() -> None:
    assert [
        name for name, module in _COMMANDS.items() if importlib.util.find_spec(f"streams.cli.{module}") is None
    ] == []


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_has_help_with_an_example(path: str) -> None:
    text = inspect.cleandoc(COMMANDS[path].help or "")
    first = text.partition("\n")[0].strip()
    assert first.endswith(".")
    assert "\b\nleadstream " in text, "no example after a \\b line"


@pytest.mark.parametrize("path", ["", *(name for name, each in COMMANDS.items() if isinstance(each, click.Group))])
def test_a_list_of_commands_cuts_no_sentence_off(path: str) -> None:
    group = COMMANDS.get(path, cli)
    page = group.get_help(click.Context(group, info_name=path, terminal_width=80, help_option_names=["-h", "--help"]))
    commands = page.partition("Commands:")[2].splitlines()[1:]
    assert commands
    assert [line for line in commands if line.endswith("...")] == []


@pytest.mark.parametrize("path", COMMANDS)
def test_examples_are_of_the_command_and_its_options_exist(path: str) -> None:
    examples = [
        line.strip() for line in (COMMANDS[path].help or "").splitlines() if line.strip().startswith("leadstream ")
    ]
    assert any(example.startswith(path) for example in examples)
    for example in examples:
        name = max((known for known in COMMANDS if f"{example} ".startswith(f"{known} ")), key=len)
        known = {option for parameter in COMMANDS[name].params for option in parameter.opts}
        assert {word for word in example.partition("|")[0].split() if word.startswith("-")} <= known, example


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_that_prints_data_prints_json_too(path: str) -> None:
    command = COMMANDS[path]
    if isinstance(command, click.Group) or path in PRINTS_NO_DATA | PRINTS_NOTHING_BUT_JSON:
        return
    assert "--json" in {option for parameter in command.params for option in parameter.opts}


def test_every_exit_code_of_the_runbook_is_in_the_help_and_on_the_page() -> None:
    runbook = (ROOT / "docs" / "runbook.md").read_text("utf-8").split("\n## Exit codes\n")[1].split("\n## ")[0]
    codes = re.findall(r"^\| (\d+) \|", runbook, flags=re.MULTILINE)
    assert len(codes) > 5
    for text in (cli.get_help(click.Context(cli)), document().split("\n## ")[0]):
        said = re.sub(r"\s+", " ", text.partition("Exit codes: ")[2])
        assert not [code for code in codes if not re.search(rf"(?:^|, ){code} [a-z]", said)]


@pytest.mark.parametrize("command", NEEDS_THE_BROKER, ids=" ".join)
async def test_a_broker_that_is_away_is_one_line_and_exit_code_3(command: tuple[str, ...]) -> None:
    away = f"127.0.0.1:{free_port()}"
    answer = await run(*command, KAFKA_BOOTSTRAP_SERVERS=away, REDIS_URL="redis://127.0.0.1:1/0")
    assert answer.code == 3
    said = answer.err or answer.out
    assert away in said
    assert "KAFKA_BOOTSTRAP_SERVERS" in said
    assert "Traceback" not in said


async def test_wrong_settings_are_wrong_input(tmp_path: Path) -> None:
    answer = await run("--config", str(tmp_path / "none.toml"), "verify")
    assert answer.code == 2
    assert "none.toml" in answer.err


@pytest.mark.parametrize(
    ("arguments", "code"), [(["verify"], 3), (["verify", "--nonsense"], 2), (["dlq", "show", "0"], 2)]
)
def test_the_process_ends_with_the_code_and_its_errors_on_stderr(arguments: list[str], code: int) -> None:
    environment = os.environ | {
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-c", "from streams.cli import main; main()", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    if code == 3:
        first, second = done.stderr.splitlines()
        assert first.startswith("leadstream: the broker at 127.0.0.1:")
        assert "KAFKA_BOOTSTRAP_SERVERS" in second


@pytest.mark.parametrize("error", ["MemoryError()", "asyncio.CancelledError()", "ValueError('\\x1b[2J')"])
def test_what_nobody_thought_of_is_no_finding_and_says_where_it_was(error: str) -> None:
    program = f"""
import asyncio, streams.cli.verify
from streams.cli import main
def has_a_bug(*_):
    raise {error}
streams.cli.verify.settings_of = has_a_bug
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program, "verify"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (70, "")
    assert "in has_a_bug" in done.stderr
    assert lines[-1].startswith(
        f"leadstream: failed unexpectedly, as above: {error.partition('(')[0].removeprefix('asyncio.')}"
    )
    assert "\x1b" not in done.stderr


def test_json_escapes_what_a_terminal_would_obey() -> None:
    assert escaped("a\x1b[2J\x9b1m\u202eb\u2028c 世界") == "a\\x1b[2J\\x9b1m\\u202eb\\u2028c 世界"
    assert json.dumps("\x1b\x9b") == '"\\u001b\\u009b"'


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["verfy"], "verify"),
        (["model", "chek"], "check"),
        (["lead", "feedbak"], "feedback"),
        (["dlq", "lst"], "list"),
        (["dlq", "reply"], "replay"),
        (["topics", "ensur"], "ensure"),
        (["tail", "transition"], "transitions"),
        (["sink", "alrts"], "alerts"),
    ],
    ids=" ".join,
)
async def test_a_misspelt_word_names_the_nearest(words: list[str], meant: str) -> None:
    answer = await run(*words)
    assert answer.code == 2
    assert f'Did you mean "{meant}"?' in answer.err


@pytest.mark.parametrize("words", [["qqq"], ["model", "qqq"], ["tail", "qqq"]], ids=" ".join)
async def test_where_no_word_is_near_none_is_named(words: list[str]) -> None:
    answer = await run(*words)
    assert answer.code == 2
    assert "qqq" in answer.err
    assert "Did you mean" not in answer.err
