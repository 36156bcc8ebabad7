"""`leadstream model`: check, test and explain a model file, print its schema, put it in force."""

import json
from pathlib import Path
from typing import Any, cast

import click

from processors.model import Checked, ScoringModel
from processors.model.editor_schema import json_schema
from processors.run_model_tests import run_model_tests
from schemas.records import TrackedEvent
from sources.completion import Completion
from sources.event_file import read_json_lines
from sources.played import Problem
from streams.cli.exits import FINDING, WRONG_INPUT, CommandError
from streams.cli.model_activation import activate, active
from streams.cli.model_files import check_model_text, read_model_file
from streams.cli.words import Group
from streams.clock import SystemClock
from streams.explain import explain_event

_TIMES = frozenset({"occurred_at", "received_at", "timestamp", "receivedAt"})


@click.group(cls=Group)
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


def _run_tests(scoring: ScoringModel, only: str) -> dict[str, Any]:
    ran, failures = run_model_tests(scoring, only)
    failed = {failure.line for failure in failures}
    return {"ran": ran, "passed": ran - len(failed), "failures": [str(failure) for failure in failures]}


def _tell(found: dict[str, Any], headline: str, *, as_json: bool) -> None:
    tests = found["tests"]
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
    else:
        lines = [headline, *(f"FAIL {failure}" for failure in tests["failures"])]
        click.echo("\n".join(line for line in lines if line))
        click.echo(f"{tests['passed']} of {tests['ran']} tests passed")
    if tests["failures"]:
        raise click.exceptions.Exit(FINDING)


@model.command
@click.argument("file")
@click.option("--json", "as_json", is_flag=True)
def check(file: str, as_json: bool) -> None:
    """Is it right? Tells every problem at once, with line, column and the nearest key, and runs its tests.

    \b
    leadstream model check model.yaml
    """
    checked = _checked(file)
    scoring = checked.model
    counts = {
        "rules": len(scoring.rules),
        "dimensions": len(scoring.dimensions),
        "fit blocks": len(scoring.fit),
        "stages": len(scoring.stages),
        "alert routes": len(scoring.alerts.routes),
    }
    found = {
        "name": scoring.name,
        "version": scoring.version,
        "counts": counts,
        "warnings": [str(warning) for warning in checked.warnings],
        "tests": _run_tests(scoring, ""),
    }
    told = ", ".join(f"{count} {what if count != 1 else what.removesuffix('s')}" for what, count in counts.items())
    _tell(found, f"{Path(file).name}: {scoring.name}@{scoring.version}, {told}", as_json=as_json)


@model.command
@click.argument("file")
@click.option("-k", "only", default="", metavar="NAME", help="Only tests whose name contains this.")
@click.option("--json", "as_json", is_flag=True)
def test(file: str, only: str, as_json: bool) -> None:
    """Run the tests in the file.

    \b
    leadstream model test model.yaml -k webinar
    """
    _tell({"tests": _run_tests(_checked(file).model, only)}, "", as_json=as_json)


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
        event = json.loads(path.read_bytes())
        if isinstance(event, dict) and not _TIMES & event.keys():  # an act without a time happens now
            own = bool({"event_id", "anonymous_id", "user_id"} & event.keys())
            event["occurred_at" if own else "timestamp"] = SystemClock().now_ms()
        line = json.dumps(event).encode()
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
