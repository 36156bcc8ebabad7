"""The documentation says what the code does: links, paths, commands, settings, metrics, reasons and tests that it names."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_type_hints

import click
import pytest

from processors.dead_letters import Reason as FoldReason
from processors.models import SHIPPED_MODELS
from schemas.metrics import METRICS
from sources.outcomes import Reason as CollectorReason
from streams.cli import cli
from streams.cli.reference import all_commands
from streams.kafka.topics import Topics
from streams.settings.config import Settings, load_settings
from streams.settings.variables import OF_A_FILE, variables

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
        *ROOT.glob("docs/**/*.md"),
        ROOT / "streams" / "engine" / "README.md",
        *ROOT.glob("tests/*/README.md"),
    ]
)
ALL_TEXT = "\n".join(page.read_text("utf-8") for page in PAGES)
SINK_REASON = "undeliverable"  # streams/delivery/delivery.py


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def each_page() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("page", PAGES, ids=name_of)


def text_of(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def code_in(text: str) -> Iterator[str]:
    """Lines of blocks, fenced or indented, and spans. What a span breaks over two lines is one."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    rest = re.sub(r"^```\w*\n.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    blocks += re.findall(r"^(?: {4}.*\n)+", rest, flags=re.MULTILINE)
    for block in blocks:
        yield from block.splitlines()
    for span in re.findall(r"`([^`]+)`", rest):
        yield " ".join(span.split())


# --- links and paths ---


def slugs(page: Path) -> set[str]:
    """The anchors that a page's headings get on GitHub."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page()
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if re.match(r"https?:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in slugs(target)):
            broken.append(link)
    assert not broken


PATH = re.compile(
    r"(?<![\w/.])(?:streams|schemas|processors|sources|sinks|tests|docs|deploy|\.ci)/[\w./*-]*(?:::\w+)?(?![<\w])"
)


@each_page()
def test_every_path_and_every_test_that_is_named_exists(page: Path) -> None:
    text = re.sub(r"https?://\S+|\]\([^)]+\)", "", page.read_text("utf-8"))
    missing = []
    for found in PATH.findall(text):
        path, _, test = found.partition("::")
        places = list(ROOT.glob(path.rstrip(".")))
        if not places or (test and not re.search(rf"def {test}\(", places[0].read_text("utf-8"))):
            missing.append(found)
    assert not missing


def test_every_decision_is_listed() -> None:
    index = text_of("docs/index.md")
    assert not [page.name for page in ROOT.glob("docs/adr/*.md") if f"(adr/{page.name})" not in index]


def test_every_page_is_in_the_index() -> None:
    index = text_of("docs/index.md")
    assert not [
        page.name for page in ROOT.glob("docs/*.md") if f"({page.name})" not in index and page.name != "index.md"
    ]


def test_every_page_of_the_index_is_held_to_the_code() -> None:
    pages = re.findall(r"\]\(([\w./-]+\.md)\)", text_of("docs/index.md"))
    assert {(ROOT / "docs" / page).resolve() for page in pages} <= set(PAGES)


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/adr/*.md")), ids=lambda page: page.name)
def test_a_decision_bears_the_number_of_its_file(page: Path) -> None:
    assert page.read_text("utf-8").startswith(f"# {int(page.name[:4])}. ")


@pytest.mark.parametrize("name", SHIPPED_MODELS)
def test_every_shipped_model_is_explained(name: str) -> None:
    assert f"processors/models/{name}.yaml" in text_of("docs/scoring-model.md")


# --- commands ---


@cache
def commands() -> dict[str, click.Command]:
    """Every command by its words, such as `model check`; groups too."""
    return {path.removeprefix("leadstream "): command for path, command in all_commands()}


def options_of(command: click.Command) -> set[str]:
    return {"--help", "-h"} | {
        name
        for param in command.params
        if isinstance(param, click.Option)
        for name in (*param.opts, *param.secondary_opts)
    }


def wrong_in(line: str) -> str | None:
    """What is wrong with `leadstream ...` in a line of code; None if nothing is, or the line is no command."""
    match = re.match(r"^(?:\$ )?(?:[A-Z_]+=\S+ )*leadstream( .*|)$", line.strip())
    if match is None or match[1].startswith(" ...") or match[1].startswith(" 0."):
        return None
    words = shlex.split(re.split(r" {2,}| [|>] ", match[1].strip())[0].replace("|", " "), comments=True)
    command: click.Command = cli
    while words:
        word = words.pop(0)
        if word.startswith("-"):
            if word not in options_of(command):
                return f"{line}: no option {word}"
            option = next((p for p in command.params if word in p.opts), None)
            if isinstance(option, click.Option) and not option.is_flag and words:
                words.pop(0)
        elif isinstance(command, click.Group):
            inner = command.get_command(click.Context(command), word)
            if inner is None:
                return f"{line}: no command {word}"
            command = inner
    return None


@each_page()
def test_every_command_that_is_named_exists(page: Path) -> None:
    wrong = [found for line in code_in(page.read_text("utf-8")) if (found := wrong_in(line))]
    assert not wrong


def test_the_list_of_commands_is_fresh_and_leaves_none_out() -> None:
    page = text_of("docs/commands.md")
    # In a process of its own: click remembers of each command how it was called first, and tests call some by themselves.
    made = subprocess.run([sys.executable, "-m", "streams.cli.reference"], capture_output=True, text=True, check=True)
    assert page == made.stdout, "run: python -m streams.cli.reference > docs/commands.md"
    assert set(re.findall(r"^## leadstream (.+)$", page, flags=re.MULTILINE)) == set(commands())


def sessions() -> Iterator[tuple[str, str]]:
    """(command, what it prints) of each `$ leadstream ...` whose files are in the repository."""
    for page in PAGES:
        for block in re.findall(r"^```\w*\n(.*?)^```", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE):
            for command, output in re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", block, flags=re.MULTILINE):
                if "docs/examples/" in command:
                    yield command, output


@pytest.mark.parametrize(("command", "output"), list(sessions()))
def test_what_a_command_is_shown_to_print_is_what_it_prints(command: str, output: str) -> None:
    words = shlex.split(command)
    run = [sys.executable, "-m", "streams", *words[1:]] if words[0] == "leadstream" else words
    environment = {"PATH": os.defpath, "PYTHONPATH": str(ROOT), "TZ": "UTC", "PYTHONUTF8": "1"}
    done = subprocess.run(
        run, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert [line.rstrip() for line in done.stdout.splitlines()] == output.splitlines()


def test_every_target_of_make_that_is_named_exists() -> None:
    targets = set(re.findall(r"^(\w+):", text_of("Makefile"), flags=re.MULTILINE))
    code = [line for page in PAGES for line in code_in(page.read_text("utf-8"))]
    named = {target for line in code for target in re.findall(r"(?:^|&& )make (\w+)", line)}
    assert named
    assert named <= targets


def test_the_readme_says_how_the_shell_finds_the_command_after_make() -> None:
    begin = text_of("README.md").partition("$ leadstream ")[0]
    assert "`. .venv/bin/activate`" in begin
    assert "\nVENV := .venv\n" in text_of("Makefile")


# --- settings ---


def settings_of(cls: type, path: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, default) of every single value."""
    hints = get_type_hints(cls)
    for field in fields(cls):
        hint, key = hints[field.name], f"{path}{field.name}"
        inner = next((arg for arg in get_args(hint) if is_dataclass(arg)), hint)
        if is_dataclass(inner) and isinstance(inner, type):
            yield from settings_of(inner, f"{key}.")
        elif field.default_factory is not MISSING:
            yield key, field.default_factory()
        else:
            yield key, field.default


def as_written(default: Any) -> str:
    if default is MISSING:
        return "required"
    if isinstance(default, str):
        return f'`"{default}"`'
    return f"`{str(default).lower()}`"


def test_every_setting_is_documented_with_its_default() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| (.+?) \|", text_of("docs/configuration.md"), flags=re.MULTILINE)
    assert dict(rows) == {key: as_written(default) for key, default in settings_of(Settings)}


def test_what_is_secret_is_marked_so() -> None:
    rows = dict(re.findall(r"^\| `([\w.]+)` \| .+? \| (.*) \|$", text_of("docs/configuration.md"), flags=re.MULTILINE))
    hints = get_type_hints(Settings)
    for section in fields(Settings):
        cls = next((arg for arg in get_args(hints[section.name]) if is_dataclass(arg)), hints[section.name])
        if not is_dataclass(cls):
            continue
        for field in fields(cls):
            assert rows[f"{section.name}.{field.name}"].startswith("*secret*") != field.repr


def test_every_variable_that_is_named_is_read() -> None:
    names = {name for name, _ in variables(Settings)}
    known = names | {name + OF_A_FILE for name in names}
    deployed = "\n".join(text_of(name) for name in ("docker-compose.yml", "deploy/Dockerfile"))
    named = set(re.findall(r"\bLEADSTREAM_[A-Z_]*[A-Z]\b", ALL_TEXT + deployed))
    assert named - known == set()


def test_the_example_of_the_settings_can_be_read(tmp_path: Path) -> None:
    example = re.search(r"```toml\n(.*?)```", text_of("docs/configuration.md"), flags=re.DOTALL)
    assert example is not None
    (tmp_path / "secret").write_text("s3cret")
    file = tmp_path / "leadstream.toml"
    file.write_text(re.sub(r'"/run/secrets/[\w-]+"', f'"{tmp_path / "secret"}"', example[1]))
    settings = load_settings(str(file), {})
    assert settings.collector.key_secret == settings.channels["sales"].url == settings.write_keys[0].key == "s3cret"


# --- tables ---


def test_every_reason_of_a_dead_letter_is_in_the_runbook_and_no_other() -> None:
    section = text_of("docs/runbook.md").split("\n## Dead letters\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`.+?) \|", section, flags=re.MULTILINE)
    listed = {reason for cell in cells for reason in re.findall(r"`(\w+)`", cell)}
    assert listed == {*get_args(FoldReason), *get_args(CollectorReason), SINK_REASON}


def test_every_metric_that_is_named_exists_and_every_one_is_documented() -> None:
    named = set(re.findall(r"\bleadstream_[a-z_]+[a-z]\b", ALL_TEXT)) - {"leadstream_leads", "leadstream_name"}
    assert named == set(METRICS)


def test_every_topic_is_in_the_architecture_and_no_other() -> None:
    named = set(re.findall(r"leadstream\.[a-z-]+\.v\d", text_of("docs/architecture.md")))
    assert named == {topic.name for topic in Topics().table}


# --- what belongs in no file ---

# A machine's own folders, and registries of packages: split, so that this file does not hold them.
_FORBIDDEN = re.compile(
    r"(?<![\w.~<])/(?:" + "|".join(("wo" + "rk", "ro" + "ot", "fa" + "rm", "ho" + "me")) + r")/"
    r"|" + "|".join(("py" + "pi[.]org", "pythonh" + "osted", "registry[.]np" + "mjs", "repo1?[.]ma" + "ven", "proxy[.]go" + "lang"))
)  # fmt: skip


def tracked_files() -> list[str]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("NOT CHECKED FOR MACHINE PATHS: this is no git checkout")
    return [name for name in done.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def test_no_tracked_file_names_a_machine_or_a_registry() -> None:
    found = []
    for name in tracked_files():
        for number, line in enumerate((ROOT / name).read_bytes().decode("utf-8", "replace").splitlines(), 1):
            if _FORBIDDEN.search(line):
                found.append(f"{name}:{number}: {line.strip()[:120]}")
    assert not found


def test_no_tracked_file_names_a_document_that_is_not_here() -> None:
    found = []
    for name in tracked_files():
        text = (ROOT / name).read_bytes().decode("utf-8", "replace")
        found += [f"{name}: {each}" for each in re.findall(r"\b[A-Z]{2,}\.md\b", text) if not (ROOT / each).is_file()]
    assert not found
