"""`leadstream dlq list|show`."""

from collections import defaultdict
from typing import Any

import click
from aiokafka import TopicPartition

from streams.cli.exits import FINDING, CommandError
from streams.cli.printing import escaped, print_json, shown_bytes, when
from streams.cli.record_text import record_data
from streams.cli.services import brokers_of, partition_count, run, settings_of
from streams.cli.words import Group
from streams.config import Settings, topics_of
from streams.log_reader import read_log

_DETAIL = 80


@click.group(cls=Group)
def dlq() -> None:
    """Records that could not be used: kept whole, with the reason.

    \b
    leadstream dlq list
    leadstream dlq show 12
    """


@dlq.command("list")
@click.option("--reason", help="The letters of this reason, one a line.")
@click.option("--json", "as_json", is_flag=True, help="Print the letters as JSON.")
@click.pass_context
def list_(context: click.Context, reason: str | None, as_json: bool) -> None:
    """Count dead letters by reason, or list those of one.

    \b
    leadstream dlq list
    leadstream dlq list --reason bad_json

    `number` is what `dlq show` takes; it counts from the oldest letter that is kept.
    """
    settings = settings_of(context)
    letters = [(n, letter) for n, letter in _numbered(settings) if reason in (None, letter["reason"])]
    if as_json:
        print_json([{"number": number, **_as_data(letter)} for number, letter in letters])
    elif not letters:
        click.echo("no dead letters" if reason is None else f"no dead letters with the reason {escaped(reason)!r}")
    elif reason is None:
        _print_reasons(letters)
    else:
        click.echo(f"{'number':>6}  {'seen at':<34} detail")
        for number, letter in letters:
            click.echo(f"{number:>6}  {when(letter['seen_at']):<34} {_detail(letter)}")


@dlq.command()
@click.argument("number", metavar="NUMBER|ID")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.pass_context
def show(context: click.Context, number: str, as_json: bool) -> None:
    """One dead letter, whole.

    NUMBER is what `dlq list` shows, ID what `tail dead-letters` and --json show. Bytes that are no text are shown as escapes.

    \b
    leadstream dlq show 12
    leadstream dlq show leadstream.events.v1/0/4711
    """
    if number and not number.strip("0"):
        raise click.BadParameter("the numbers of `dlq list` begin with 1", context, param_hint="NUMBER|ID")
    letters = _numbered(settings_of(context))
    found = next(((n, letter) for n, letter in letters if number in (str(n), letter["id"])), None)
    if found is None:
        raise CommandError(
            f"there is no dead letter {escaped(number)}; there are {len(letters)}",
            "see: leadstream dlq list",
            code=FINDING,
        )
    if as_json:
        print_json({"number": found[0], **_as_data(found[1])})
        return
    for name, value in _as_data(found[1]).items():
        if value is not None:
            click.echo(f"{name:<10} {escaped(_text(name, value))}")


def _text(name: str, value: Any) -> str:
    """A value of a letter, for people."""
    if name == "seen_at":
        return when(value)
    if isinstance(value, dict):
        return "  ".join(f"{key}={inner}" for key, inner in value.items() if inner is not None) or "(none)"
    return str(value)


def _numbered(settings: Settings) -> list[tuple[int, dict[str, Any]]]:
    """Every letter once, oldest first, numbered from 1."""
    return list(enumerate(run(_letters(settings), settings), 1))


async def _letters(settings: Settings) -> list[dict[str, Any]]:
    brokers = brokers_of(settings)
    tps = [
        TopicPartition(topics_of(settings).dead_letters, number) for number in range(await partition_count(settings))
    ]
    found: dict[str, dict[str, Any]] = {}
    records = [record async for record in read_log(brokers, tps)]
    for record in sorted(records, key=lambda record: (record.timestamp, record.partition, record.offset)):
        data = record_data(record)
        if data["kind"] == "DeadLetter":
            found.setdefault(data["value"]["id"], data["value"])  # after a restart a worker may send one again
    return list(found.values())


def _print_reasons(letters: list[tuple[int, dict[str, Any]]]) -> None:
    by_reason = defaultdict(list)
    for number, letter in letters:
        by_reason[letter["reason"]].append((number, letter))
    click.echo(f"{'reason':<18} {'count':>7}  {'oldest':<34} {'number':>6}  detail of the latest")
    for reason, group in sorted(by_reason.items(), key=lambda item: -len(item[1])):
        number, latest = group[-1]
        oldest = when(min(letter["seen_at"] for _, letter in group))
        click.echo(f"{escaped(reason):<18} {len(group):>7,}  {oldest:<34} {number:>6}  {_detail(latest)}")


def _detail(letter: dict[str, Any]) -> str:
    text = escaped(letter["detail"])
    return text if len(text) <= _DETAIL else text[:_DETAIL] + "..."


def _as_data(letter: dict[str, Any]) -> dict[str, Any]:
    return {**letter, "key": shown_bytes(letter["key"]), "value": shown_bytes(letter["value"])}
