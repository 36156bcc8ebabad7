"""`leadstream dlq replay` and `dlq drop`."""

import sys
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import click

from streams.cli.asking import confirm, refuse_off_terminal
from streams.cli.dlq_letters import all_letters, named_letter, reason_option, refuse_number_0
from streams.cli.exits import FINDING
from streams.cli.printing import escaped, plural, print_json
from streams.cli.services import brokers_of, partition_count, run, settings_of
from streams.delivery.handle_letters import Hand, Handled, LetterHandler
from streams.delivery.letters import Letter
from streams.delivery.one_delivery import OneDelivery
from streams.delivery.put_back import CannotReplayError, PutBack, is_late, put_back, sink_of
from streams.metrics import PrometheusMetrics
from streams.settings.collector import collector_settings
from streams.settings.config import Settings, clock_of, topics_of

_SHOWN = 50


@click.command()
@click.argument("names", nargs=-1, metavar="[NUMBER|ID]...")
@reason_option
@click.option("--dry-run", is_flag=True, help="Say what would be sent, and send nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
@click.pass_context
def replay(
    context: click.Context, names: tuple[str, ...], reason: str | None, *, dry_run: bool, yes: bool, as_json: bool
) -> int:
    """Put dead letters back where they came from.

    For when their cause is mended. Default: all that are open.

    A record of the worker goes to the events topic again, as it was. A request goes through the collector's own
    reading. Event ids stay the same, so nothing counts twice. A transition that a destination refused is handed to
    that one sink again, with the settings that are here. What would only be refused once more stays open, and is
    named with the reason. An act of more than 7 days ago is kept in the log and scores nothing.

    \b
    leadstream dlq replay --dry-run
    leadstream dlq replay --reason unknown_schema
    leadstream dlq replay 12 13 --yes

    Exit code 1: some of them could not be replayed; 4: off a terminal, without --yes.
    """
    settings = settings_of(context)
    refuse_number_0(*names)
    asked = not (yes or dry_run)
    if asked:
        refuse_off_terminal()  # before all letters are read
    letters = all_letters(settings)
    chosen = _chosen(letters, names, reason)
    plan, skipped = _plan(chosen, settings, dropped_too=bool(names))
    late = _late(plan, settings)
    if dry_run:
        done = [Handled(letter, _destination(letter, back)) for letter, back in plan]
    else:
        if plan and asked:
            confirm(f"Replay {plural(len(plan), 'letter')}?")
        done = _handle(settings, len(plan), lambda handler: handler.replay(plan), quiet=as_json)
    skipped += [one for one in done if one.skipped]
    done = [one for one in done if not one.skipped]
    if as_json:
        _print_as_json("would be replayed" if dry_run else "replayed", done, skipped, late)
    else:
        _print(("would replay" if dry_run else "replayed"), done if dry_run else [], skipped, len(done))
        if late:
            click.echo(f"{plural(late, 'act')} of more than 7 days ago: in the log, not scored")
    return FINDING if skipped else 0


@click.command()
@click.argument("names", nargs=-1, metavar="[NUMBER|ID]...")
@reason_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
@click.pass_context
def drop(context: click.Context, names: tuple[str, ...], reason: str | None, *, yes: bool, as_json: bool) -> int:
    """Take dead letters off the list.

    For when nothing can be made of them, or it was done by hand.

    Deletes nothing: `dlq list --all` shows them as long as the topic keeps them, and `dlq replay NUMBER` still puts
    them back.

    \b
    leadstream dlq drop 12
    leadstream dlq drop --reason bad_json --yes

    Exit code 1: some were handled before; 4: off a terminal, without --yes.
    """
    if not (names or reason):
        raise click.UsageError("name the letters, or a --reason", context)
    settings = settings_of(context)
    refuse_number_0(*names)
    if not yes:
        refuse_off_terminal()  # before all letters are read
    chosen = _chosen(all_letters(settings), names, reason)
    skipped = [Handled(letter, skipped=f"{letter.handled['outcome']} before") for letter in chosen if letter.handled]
    letters = [letter for letter in chosen if not letter.handled]
    if letters and not yes:
        confirm(f"Drop {plural(len(letters), 'letter')}?")
    done = _handle(settings, len(letters), lambda handler: handler.drop(letters), quiet=as_json)
    if as_json:
        _print_as_json("dropped", done, skipped, 0)
    else:
        _print("dropped", [], skipped, len(done))
    return FINDING if skipped else 0


def _chosen(letters: Sequence[Letter], names: Sequence[str], reason: str | None) -> list[Letter]:
    if names and reason:
        raise click.UsageError("either name the letters or say a --reason")
    if names:
        return list({letter.number: letter for letter in (named_letter(letters, name) for name in names)}.values())
    return [letter for letter in letters if not letter.handled and reason in (None, letter.letter["reason"])]


def _plan(
    letters: Iterable[Letter], settings: Settings, *, dropped_too: bool
) -> tuple[list[tuple[Letter, PutBack]], list[Handled]]:
    topics, collector = topics_of(settings), collector_settings(settings)
    plan, skipped = [], []
    for letter in letters:
        if letter.handled and not (dropped_too and letter.handled["outcome"] == "dropped"):
            skipped.append(Handled(letter, letter.handled["detail"], f"{letter.handled['outcome']} before"))
            continue
        try:
            plan.append((letter, put_back(letter.letter, topics, collector)))
        except CannotReplayError as error:
            skipped.append(Handled(letter, error.detail, error.why))
    return plan, skipped


def _late(plan: Iterable[tuple[Letter, PutBack]], settings: Settings) -> int:
    now_ms = clock_of(settings).now_ms()
    return sum(is_late(record, now_ms) for _, back in plan for record in back.records)


def _destination(letter: Letter, back: PutBack) -> str:
    if back.delivery is not None:
        return f"to the sink {sink_of(letter.letter)}"
    counts = Counter(record.topic for record in back.records)
    return ", ".join(f"{plural(count, 'record')} to {topic}" for topic, count in counts.items())


def _handle(
    settings: Settings, total: int, work: Callable[[LetterHandler], Coroutine[Any, Any, list[Handled]]], *, quiet: bool
) -> list[Handled]:
    shows = sys.stderr.isatty() and not quiet

    def progress(done: int) -> None:
        if shows:
            click.echo(f"\r{done:,} of {total:,} letters", err=True, nl=done == total)

    def open_hand(name: str, stack: AsyncExitStack) -> Hand:
        from streams.parts import make_sink  # noqa: PLC0415 - it loads every sink, and few letters are of one

        return OneDelivery(name, lambda: make_sink(name, settings, PrometheusMetrics()), stack)

    async def handle() -> list[Handled]:
        handler = LetterHandler(
            brokers_of(settings),
            topics_of(settings).dead_letters,
            await partition_count(settings),
            now_ms=clock_of(settings).now_ms,
            hands=open_hand,
            on_progress=progress,
        )
        return await work(handler)

    return run(handle(), settings) if total else []


def _print(verb: str, lines: Sequence[Handled], skipped: Sequence[Handled], count: int) -> None:
    for one in lines[:_SHOWN]:
        click.echo(f"{one.letter.number:>6}  {escaped(one.letter.letter['reason']):<16} {escaped(one.detail)}")
    for one in skipped[:_SHOWN]:
        detail = f": {one.detail}" if one.detail else ""
        click.echo(
            f"{one.letter.number:>6}  {escaped(one.letter.letter['reason']):<16} skipped: {escaped(one.skipped + detail)}"
        )
    if max(len(lines), len(skipped)) > _SHOWN:
        click.echo("... and more; all of them: --json")
    if not skipped:
        click.echo(f"{verb} {count:,}")
        return
    reasons = Counter(one.skipped for one in skipped).most_common()
    why = "; ".join(f"{text} ({number:,})" if len(reasons) > 1 else text for text, number in reasons)
    click.echo(f"{verb} {count:,}, skipped {len(skipped):,}: {escaped(why)}")


def _print_as_json(outcome: str, done: Iterable[Handled], skipped: Iterable[Handled], late: int) -> None:
    letters = [(one, outcome) for one in done] + [(one, "skipped") for one in skipped]
    letters.sort(key=lambda pair: pair[0].letter.number)
    print_json(
        {
            "letters": [
                {
                    "number": one.letter.number,
                    "id": one.letter.id,
                    "outcome": what,
                    "why": one.skipped or None,
                    "detail": one.detail,
                }
                for one, what in letters
            ],
            "late": late,
        }
    )
