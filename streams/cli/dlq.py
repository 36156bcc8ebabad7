"""`leadstream dlq`: the group, `list` and `show`."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import click

from streams.cli.dlq_handling import drop, replay
from streams.cli.dlq_letters import all_letters, named_letter, reason_option, refuse_number_0, told
from streams.cli.printing import escaped, print_json, shown_bytes, when
from streams.cli.services import settings_of
from streams.cli.words import Group
from streams.delivery.letters import Letter

_DETAIL = 80


@click.group(cls=Group)
def dlq() -> None:
    """Records that could not be used: kept whole, with the reason.

    \b
    leadstream dlq list
    leadstream dlq show 12
    leadstream dlq replay --reason unknown_schema
    """


dlq.add_command(replay)
dlq.add_command(drop)


@dlq.command("list")
@reason_option
@click.option("--all", "handled_too", is_flag=True, help="Also those that were replayed or dropped.")
@click.option("--json", "as_json", is_flag=True, help="Print the letters as JSON.")
@click.pass_context
def list_(context: click.Context, reason: str | None, *, handled_too: bool, as_json: bool) -> None:
    """Count the open dead letters by reason, or list those of one.

    \b
    leadstream dlq list
    leadstream dlq list --reason bad_json
    leadstream dlq list --all

    `number` is what `dlq show` takes; it counts from the oldest letter that is kept.
    """
    everything = all_letters(settings_of(context))
    fitting = [letter for letter in everything if reason in (None, letter.letter["reason"])]
    letters = [letter for letter in fitting if handled_too or not letter.handled]
    if as_json:
        print_json([_as_data(letter) for letter in letters])
    elif not letters:
        which = "" if reason is None else f" with the reason {reason!r}"
        handled = f"; {len(fitting):,} handled: --all" if fitting else ""
        click.echo(f"no {'open ' if fitting else ''}dead letters{which}{handled}")
    elif handled_too:
        _print_lines(letters, [escaped(told(letter)) for letter in letters])
    elif reason is None:
        _print_reasons(letters)
    else:
        _print_lines(letters, [_detail(letter) for letter in letters])


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
    refuse_number_0(number)
    letter = named_letter(all_letters(settings_of(context)), number)
    if as_json:
        print_json(_as_data(letter))
        return
    for name, value in _shown(letter).items():
        if value is not None:
            click.echo(f"{name:<10} {escaped(_text(name, value))}")
    if letter.handled:
        click.echo(f"{'handled':<10} {escaped(told(letter))}")


def _text(name: str, value: Any) -> str:
    """A value of a letter, for people."""
    if name == "seen_at":
        return when(value)
    if isinstance(value, dict):
        return "  ".join(f"{key}={inner}" for key, inner in value.items() if inner is not None) or "(none)"
    return str(value)


def _print_lines(letters: Sequence[Letter], lines: Sequence[str]) -> None:
    click.echo(f"{'number':>6}  {'reason':<16} {'seen at':<34} detail")
    for letter, line in zip(letters, lines, strict=True):
        reason, seen_at = escaped(letter.letter["reason"]), when(letter.letter["seen_at"])
        click.echo(f"{letter.number:>6}  {reason:<16} {seen_at:<34} {line}")


def _print_reasons(letters: Sequence[Letter]) -> None:
    by_reason = defaultdict(list)
    for letter in letters:
        by_reason[letter.letter["reason"]].append(letter)
    click.echo(f"{'reason':<18} {'count':>7}  {'oldest':<34} {'number':>6}  detail of the latest")
    for reason, group in sorted(by_reason.items(), key=lambda item: -len(item[1])):
        latest = group[-1]
        oldest = when(min(letter.letter["seen_at"] for letter in group))
        click.echo(f"{escaped(reason):<18} {len(group):>7,}  {oldest:<34} {latest.number:>6}  {_detail(latest)}")


def _detail(letter: Letter) -> str:
    text = escaped(letter.letter["detail"])
    return text if len(text) <= _DETAIL else text[:_DETAIL] + "..."


def _shown(letter: Letter) -> dict[str, Any]:
    """The letter itself, with its bytes for people."""
    return {**letter.letter, "key": shown_bytes(letter.letter["key"]), "value": shown_bytes(letter.letter["value"])}


def _as_data(letter: Letter) -> dict[str, Any]:
    return {"number": letter.number, **_shown(letter), "handled": letter.handled}
