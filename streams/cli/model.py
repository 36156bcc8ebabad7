"""`leadstream model`: the group, and what needs the file alone: `explain` and `schema`."""

import json
from pathlib import Path
from typing import Any, cast

import click

from processors.model.editor_schema import json_schema
from schemas.records import TrackedEvent
from sources.completion import Completion
from sources.event_file import is_own_event, read_json_lines
from sources.played import Problem
from streams.cli.exits import WRONG_INPUT, CommandError
from streams.cli.model_activation import activate, active
from streams.cli.model_check import check, checked_file, test
from streams.cli.printing import escaped, print_json
from streams.cli.words import Group
from streams.clock import SystemClock
from streams.explain import explain_event

_TIMES = frozenset({"occurred_at", "received_at", "timestamp", "receivedAt"})
_IDS = ("anonymous_id", "user_id", "anonymousId", "userId")


@click.group(cls=Group)
def model() -> None:
    """Check, test, explain and activate a scoring model.

    \b
    leadstream model check model.yaml
    leadstream model explain model.yaml event.json
    """


model.add_command(check)
model.add_command(test)


@model.command
@click.argument("file")
@click.argument("event", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True)
def explain(file: str, event: Path, as_json: bool) -> None:
    """Say what this one act would score, for a new visitor.

    EVENT is a file with a Segment call or an event of ours. It needs no id and no time.

    \b
    leadstream model explain model.yaml event.json
    """
    found = explain_event(checked_file(file).model, _one_event(event))
    if as_json:
        print_json(found)
        return
    click.echo(f"{escaped(found['event'])}: {found['score']:+.1f} points, stage {found['stage']}")
    for line in found["receipt"]:
        click.echo(f"  {line['points']:+8.1f}  {line['name']}  {line['units']:.2f} x {line['per_unit']:g}")
    if not found["rules"]:
        why = "its host is not one of site.hosts" if found["outcome"] == "foreign_host" else escaped(found["hint"])
        click.echo("  it fits no rule" + (f": {why}" if why else ""))


def _one_event(path: Path) -> TrackedEvent:
    """The event in a JSON file, however it is laid out."""
    try:
        event = json.loads(path.read_bytes())
        line = json.dumps(_complete(event) if isinstance(event, dict) else event).encode()
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


def _complete(event: dict[str, Any]) -> dict[str, Any]:
    """An act without a time happens now; without an id it is a new visitor's."""
    own = is_own_event(event)
    if not _TIMES & event.keys():
        event["occurred_at" if own else "timestamp"] = SystemClock().now_ms()
    if not any(event.get(name) for name in _IDS):
        event["anonymous_id" if own else "anonymousId"] = "new-visitor"
    return event


@model.command
def schema() -> None:
    """Print a JSON Schema of the model file, for editors.

    \b
    leadstream model schema > model.schema.json
    """
    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))


model.add_command(activate)
model.add_command(active)
