"""`leadstream model check` and `model test`."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from processors.model import Checked, ModelErrors, ScoringModel
from processors.run_model_tests import run_model_tests
from streams.cli.exits import FINDING, CommandError
from streams.cli.model_comparison import (
    active_to_compare,
    change_data,
    change_lines,
    change_warnings,
    changes_of,
    model_name,
)
from streams.cli.model_files import check_model_text, read_model_file
from streams.cli.printing import escaped, print_json
from streams.cli.times import Span
from streams.cli.unfitted_rules import warn_of_unfitted


def checked_file(file: str) -> Checked:
    """The model of a file; its warnings are told.

    Raises:
        CommandError: it cannot be read, or is no model.
    """
    checked = check_model_text(read_model_file(file), file)
    _warn(map(str, checked.warnings))
    return checked


def _warn(warnings: Iterable[str]) -> None:
    for warning in warnings:
        click.echo(f"warn {escaped(warning)}", err=True)


@click.command
@click.argument("file")
@click.option(
    "--on", type=Span(), help="Read the events of this time, such as 30d; warn of rules that none of them fits."
)
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def check(context: click.Context, file: str, on: int | None, as_json: bool) -> None:
    """Tell every problem of a model at once, and run its tests.

    With line, column and the nearest key. Where the settings name a broker, it also says what changes against the model
    that is active.

    \b
    leadstream model check model.yaml
    leadstream model check model.yaml --on 30d

    Exit code 1: a test fails; 2: the file is wrong; 3: with --on, the broker is away.
    """
    text = read_model_file(file)
    checked = _checked(text, file, as_json=as_json)
    model, counts = checked.model, _counts(checked.model)
    if not as_json:
        told = ", ".join(f"{count} {what if count != 1 else what.removesuffix('s')}" for what, count in counts.items())
        click.echo(f"{Path(file).name}: {model.name}@{model.version}, {told}")
    active, gone = _compare(context, text, model, as_json=as_json)
    read = None if on is None else warn_of_unfitted(context, checked, on)
    warnings = [*map(str, checked.warnings), *gone]
    _warn(warnings)
    found = {
        "errors": [],
        "name": model.name,
        "version": model.version,
        "counts": counts,
        "active": active,
        "on": read,
        "warnings": warnings,
        "tests": _run_tests(model, ""),
    }
    _tell(found, as_json=as_json)


def _checked(text: str, file: str, *, as_json: bool) -> Checked:
    """As `check_model_text`; with `as_json` the errors are printed as data, too."""
    try:
        return check_model_text(text, file)
    except CommandError as error:
        if as_json and isinstance(error.__cause__, ModelErrors):
            print_json({"errors": [asdict(problem) for problem in error.__cause__.problems]})
        raise


def _counts(model: ScoringModel) -> dict[str, int]:
    return {
        "rules": len(model.rules),
        "dimensions": len(model.dimensions),
        "fit blocks": len(model.fit),
        "stages": len(model.stages),
        "alert routes": len(model.alerts.routes),
    }


def _compare(
    context: click.Context, text: str, model: ScoringModel, *, as_json: bool
) -> tuple[dict[str, Any] | None, list[str]]:
    """(what changes against the active model, which is told; warnings about it, which are not told yet)."""
    before, why_not = active_to_compare(context)
    if before is None:
        click.echo(f"not compared: {why_not}", err=True)
        return None, []
    changes = changes_of(before, text)
    if not as_json:
        same = (before["name"], before["version"]) == (model.name, model.version)
        told = [f"the same as the active {model_name(before)}"] if same else change_lines(before, changes)
        click.echo("\n".join(told))
    return change_data(before, changes), change_warnings(changes)


@click.command
@click.argument("file")
@click.option("-k", "only", default="", metavar="NAME", help="Only tests whose name contains this.")
@click.option("--json", "as_json", is_flag=True)
def test(file: str, only: str, as_json: bool) -> None:
    """Run the tests in the file.

    \b
    leadstream model test model.yaml -k webinar
    """
    _tell({"tests": _run_tests(checked_file(file).model, only)}, as_json=as_json)


def _run_tests(model: ScoringModel, only: str) -> dict[str, Any]:
    ran, failures = run_model_tests(model, only)
    failed = {failure.line for failure in failures}
    return {"ran": ran, "passed": ran - len(failed), "failures": [str(failure) for failure in failures]}


def _tell(found: dict[str, Any], *, as_json: bool) -> None:
    """What was found, or of it what is not told yet: the tests.

    Raises:
        click.exceptions.Exit: one of them failed.
    """
    tests = found["tests"]
    if as_json:
        print_json(found)
    else:
        for failure in tests["failures"]:
            click.echo(f"FAIL {failure}")
        click.echo(f"{tests['passed']} of {tests['ran']} tests passed")
    if tests["failures"]:
        raise click.exceptions.Exit(FINDING)
