"""`leadstream model`: check, test and explain a model file, print its schema, put it in force."""

import json
from pathlib import Path
from typing import cast

import click

from processors.model import Checked, ScoringModel
from processors.model.editor_schema import json_schema
from processors.run_model_tests import Failure, run_model_tests
from schemas.records import TrackedEvent
from sources.completion import Completion
from sources.event_file import read_json_lines
from sources.played import Problem
from streams.cli.exits import FINDING, WRONG_INPUT, CommandError
from streams.cli.model_activation import activate, active
from streams.cli.model_files import check_model_text, read_model_file
from streams.explain import explain_event


@click.group
def model() -> None:
    """Check, test, explain and activate a scoring model.

    \b
    leadstream model check model.yaml
    leadstream model explain model.yaml event.json
    """


def _checked(file: str) -> Checked:
    checked = check_model_text(read_model_file(file), file)
    for warning in checked.warnings:
        click.echo(f"warn {warning}", err=True)
    return checked


def _tell_tests(scoring: ScoringModel, only: str) -> None:
    ran, failures = run_model_tests(scoring, only)
    for failure in failures:
        click.echo(f"FAIL {failure}")
    click.echo(f"{ran - len(_failed(failures))} of {ran} tests passed")
    if failures:
        raise click.exceptions.Exit(FINDING)


def _failed(failures: list[Failure]) -> set[int]:
    return {failure.line for failure in failures}


@model.command
@click.argument("file")
def check(file: str) -> None:
    """Is it right? Tells every problem at once, with line, column and the nearest key, and runs its tests.

    \b
    leadstream model check model.yaml
    """
    scoring = _checked(file).model
    counts = [
        (len(scoring.rules), "rules"),
        (len(scoring.dimensions), "dimensions"),
        (len(scoring.fit), "fit blocks"),
        (len(scoring.stages), "stages"),
        (len(scoring.alerts.routes), "alert routes"),
    ]
    click.echo(f"{Path(file).name}: {scoring.name}@{scoring.version}, {', '.join(f'{n} {what}' for n, what in counts)}")
    _tell_tests(scoring, "")


@model.command
@click.argument("file")
@click.option("-k", "only", default="", metavar="NAME", help="Only tests whose name contains this.")
def test(file: str, only: str) -> None:
    """Run the tests in the file.

    \b
    leadstream model test model.yaml -k webinar
    """
    _tell_tests(_checked(file).model, only)


@model.command
@click.argument("file")
@click.argument("event", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True)
def explain(file: str, event: Path, as_json: bool) -> None:
    """What would this one act score, for a new visitor? EVENT is a file with a Segment call or an event of ours.

    \b
    leadstream model explain model.yaml event.json
    """
    found = explain_event(_checked(file).model, _one_event(event))
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    click.echo(f"{found['event']}: {found['score']:+.1f} points, stage {found['stage']}")
    for line in found["receipt"]:
        click.echo(f"  {line['points']:+8.1f}  {line['name']}  {line['units']:.2f} x {line['per_unit']:g}")
    if not found["rules"]:
        click.echo(
            "  it fits no rule" + (": its host is not one of site.hosts" if found["outcome"] == "foreign_host" else "")
        )


def _one_event(path: Path) -> TrackedEvent:
    """The event in a JSON file, however it is laid out."""
    try:
        line = json.dumps(json.loads(path.read_bytes())).encode()
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror or error}", code=WRONG_INPUT) from error
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{path}: not JSON: {error}", code=WRONG_INPUT) from error
    for _, read in read_json_lines([(1, line)], Completion(b"explain")):
        if isinstance(read, Problem):
            raise CommandError(f"{path}: {read.reason}: {read.detail}", code=WRONG_INPUT)
        if read.kind == "TrackedEvent":
            return cast("TrackedEvent", read.record)
    raise CommandError(f"{path}: no event in it", code=WRONG_INPUT)


@model.command
def schema() -> None:
    """Print a JSON Schema of the model file, for editors.

    \b
    leadstream model schema > model.schema.json
    """
    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))


model.add_command(activate)
model.add_command(active)
