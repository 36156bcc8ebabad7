"""A model file beside the model that is active: what `model check` and `model activate` say of it."""

import asyncio
from dataclasses import asdict
from typing import Any

import click

from processors.model.changes import KeyChange, ModelChanges, PartChange, model_changes
from processors.model_log import unpack_model
from schemas.records import ModelActivated
from schemas.rows import UnreadableRowError
from streams.cli.exits import CommandError
from streams.cli.printing import escaped
from streams.cli.services import brokers_of, partition_count, run, settings_of
from streams.model_records import active_model
from streams.settings.config import Settings, broker_is_named, topics_of

_SECONDS = 5.0  # a check of a file waits no longer for a broker
_LINE = 110
_FROM_NOW_ON = (
    "what changes from now on leaves earlier points as they are: only a replay would change them, and there is none yet"
)


def model_name(record: ModelActivated) -> str:
    return escaped(f"{record['name']}@{record['version']}")


def changes_of(before: ModelActivated, text: str) -> ModelChanges:
    """What the model file would change in an active model."""
    return model_changes(unpack_model(before["body"]), text)


def change_lines(before: ModelActivated, changes: ModelChanges) -> list[str]:
    """`against the active NAME: ...` and what changes: on one line, or on one line each where that would be long. Then
    what `from now on` means, if a change says so.
    """
    found = [
        *(f"rule {rule} added" for rule in changes.added),
        *(f"rule {rule} removed" for rule in changes.removed),
        *(f"rule {old} renamed to {new}" for old, new in changes.renamed),
        *(f"{each.rule} {each.key} {_values(each)}" for each in changes.keys),
        *(f"{each.part} {_values(each)}" for each in changes.parts),
    ]
    told = list(map(escaped, found))
    effects = [*(each.effect for each in changes.keys), *(each.effect for each in changes.parts)]
    note = [_FROM_NOW_ON] if "from now on" in effects else []
    head = f"against the active {model_name(before)}:"
    line = f"{head} {', '.join(told) or 'nothing that scores'}"
    return [*([line] if len(line) <= _LINE else [head, *(f"  {each}" for each in told)]), *note]


def _values(change: KeyChange | PartChange) -> str:
    return f"{change.before} -> {change.after} ({change.effect})"


def change_warnings(changes: ModelChanges) -> list[str]:
    """A rule that is gone without an heir takes its points with it, which a renamed one hardly means to."""
    gone = ", ".join(changes.removed)
    warning = (
        f"the points that leads earned by {gone} are worth nothing from now on; "
        "if a rule was renamed, write `was: OLD-ID` into the new one"
    )
    return [warning] if gone else []


def change_data(before: ModelActivated, changes: ModelChanges) -> dict[str, Any]:
    """The active model, and what changes against it."""
    return {"name": before["name"], "version": before["version"], "n": before["n"], **asdict(changes)}


async def read_active(settings: Settings) -> ModelActivated | None:
    """The newest activation; None: there is none.

    Raises:
        CommandError: a topic is missing.
        KafkaError, OSError: the broker is away.
        UnreadableRowError: a partition's own row cannot be read.
    """
    brokers = brokers_of(settings)
    return await active_model(brokers, topics_of(settings), await partition_count(settings))


def active_to_compare(context: click.Context) -> tuple[ModelActivated | None, str]:
    """The active model to compare a file with, or why there is none. A broker that is away does no harm.

    Raises:
        CommandError: the settings are wrong.
    """
    settings = settings_of(context)
    if not broker_is_named(context.find_root().obj):
        return None, "no broker configured (KAFKA_BOOTSTRAP_SERVERS, or kafka.bootstrap_servers in leadstream.toml)"
    try:
        found = run(asyncio.wait_for(read_active(settings), _SECONDS), settings)
    except (CommandError, UnreadableRowError) as error:
        return None, str(error).partition("\n")[0]
    return found, "" if found is not None else "no model is active yet"
