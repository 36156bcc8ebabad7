"""`leadstream lead show|why|list|feedback`."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import click
from aiokafka import TopicPartition

from processors.model.model import Stage
from schemas.codec import encode
from schemas.keys import partition_of
from schemas.nearest import did_you_mean
from schemas.records import Feedback, LeadSnapshot, StageTransition
from sinks.redis_reader import LeadReader
from streams.cli.exits import FINDING, WRONG_INPUT, CommandError
from streams.cli.lead_text import lead_data, list_line, receipt_data, show_lines, stage_name, who, why_lines
from streams.cli.printing import escaped, print_json, when
from streams.cli.services import brokers_of, partition_count, run, settings_of
from streams.cli.words import Group
from streams.kafka.send_record import send_record
from streams.priced_leads import (
    NoActiveModelError,
    PricedLead,
    lead_reader,
    list_priced,
    priced,
    read_active_model,
)
from streams.settings.config import Settings, clock_of, topics_of


@click.group(cls=Group)
def lead() -> None:
    """Look at leads, and say what sales thinks of one.

    ID is a lead key, an anonymous id, a user id or an e-mail.

    \b
    leadstream lead list --stage mql
    leadstream lead why ada@bigbank.example
    """


@lead.command()
@click.argument("id_", metavar="ID")
@click.option("--at", "at_text", metavar="TIME", help="As of a later time, such as 2026-03-19T22:00; default: now.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.pass_context
def show(context: click.Context, id_: str, at_text: str | None, as_json: bool) -> None:
    """Who a lead is, where it came from, and how it moved.

    \b
    leadstream lead show c_81f2
    """
    settings = settings_of(context)
    found, history = run(_show(settings, id_, at_text), settings)
    if as_json:
        moves = [
            {name: told[name] for name in ("id", "at", "from_stage", "to_stage", "cause", "score")} for told in history
        ]
        print_json({**lead_data(found), "transitions": moves})
    else:
        click.echo("\n".join(show_lines(found, history)))


@lead.command()
@click.argument("id_", metavar="ID")
@click.option("--at", "at_text", metavar="TIME", help="As of a later time, such as 2026-03-19T22:00; default: now.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.pass_context
def why(context: click.Context, id_: str, at_text: str | None, as_json: bool) -> None:
    """Why a lead has its score: every rule, cap and penalty.

    The lines add up. The score is that of now: it has faded since the last act.

    \b
    leadstream lead why ada@bigbank.example
    leadstream lead why ada@bigbank.example --at 2026-03-19T22:00
    """
    settings = settings_of(context)
    found, _ = run(_show(settings, id_, at_text), settings)
    if as_json:
        print_json({**lead_data(found), **receipt_data(found.price)})
    else:
        click.echo("\n".join(why_lines(found)))


def _grade(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    if text is not None and not re.fullmatch("[A-D][1-4]?", text.upper()):
        raise click.BadParameter(f'"{text}" is no grade. Write A1 to D4, or a letter for all of its digits.')
    return text and text.upper()


@lead.command("list")
@click.option("--stage", help="Only leads in this stage.")
@click.option("--grade", callback=_grade, help="Only this grade: A1, or A for all of A1 to A4.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
@click.pass_context
def list_(context: click.Context, stage: str | None, grade: str | None, limit: int, as_json: bool) -> None:
    """The leads with the highest score now, best first.

    \b
    leadstream lead list --stage mql --limit 10
    """
    settings = settings_of(context)
    found = run(_list(settings, stage, grade, limit), settings)
    if as_json:
        print_json([lead_data(each) for each in found])
        return
    for each in found:
        click.echo(list_line(each))
    if not found:
        click.echo("no lead fits", err=True)


@lead.command()
@click.argument("id_", metavar="ID")
@click.argument("word")
@click.option("--reason", help="Why, in words.")
@click.option("--version", type=click.IntRange(0, 2**62), help="Number of this answer; an older one is ignored.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
@click.pass_context
def feedback(
    context: click.Context, id_: str, word: str, *, reason: str | None, version: int | None, as_json: bool
) -> None:
    """Say what sales decided.

    WORD is one that a stage of the model lists under `feedback`.

    \b
    leadstream lead feedback ada@bigbank.example accepted --reason "call on Friday"
    """
    settings = settings_of(context)
    snapshot, stage, place = run(_feedback(settings, id_, word, reason, version), settings)
    if as_json:
        print_json({"id": snapshot["lead_key"], "from": snapshot["stage"], "to": stage.id, "written_to": place})
        return
    moves = f"moves from {stage_name(snapshot['stage'])} to {stage_name(stage.id)} when the worker has folded it"
    if snapshot["stage"] == stage.id:
        moves = f"is in {stage_name(stage.id)} already, so nothing moves"
    click.echo(f"{who(snapshot)} {moves} ({place})")


@asynccontextmanager
async def _reader(settings: Settings) -> AsyncIterator[LeadReader]:
    async with lead_reader(settings.redis.url) as reader:
        try:
            yield reader
        except NoActiveModelError as error:
            raise CommandError(
                "Redis knows no model, so nothing can be priced",
                "run `leadstream model activate FILE`, and `leadstream worker` and `leadstream sink redis` beside it",
                code=FINDING,
            ) from error


async def _find(reader: LeadReader, text: str) -> LeadSnapshot:
    snapshot = await reader.find_lead(text)
    if snapshot is not None:
        return snapshot
    count = await reader.count_leads()
    fix = (
        "give a lead key, an anonymous id, a user id or an e-mail; `leadstream lead list` shows the leads"
        if count
        else "Redis holds no lead at all: do `leadstream worker` and `leadstream sink redis` run?"
    )
    raise CommandError(f"no lead {escaped(text)!r}", fix, code=FINDING)


async def _show(settings: Settings, text: str, at_text: str | None) -> tuple[PricedLead, list[StageTransition]]:
    now = clock_of(settings).now_ms()
    at = now if at_text is None else _time(at_text)
    async with _reader(settings) as reader:
        snapshot = await _find(reader, text)
        if at_text is not None and at < snapshot["at"]:
            raise CommandError(
                f"--at {escaped(at_text)} lies before the last act that is known, {when(snapshot['at'])}",
                "scores are kept from then on only: give a later time",
                code=WRONG_INPUT,
            )
        found = priced(snapshot, await read_active_model(reader), at)
        return found, await reader.transitions_of(snapshot["lead_key"])


async def _list(settings: Settings, stage: str | None, grade: str | None, limit: int) -> list[PricedLead]:
    async with _reader(settings) as reader:
        active = await read_active_model(reader)
        if stage is not None and stage not in active.stage_index:
            raise CommandError(
                f"the model has no stage {escaped(stage)!r}.{did_you_mean(stage, active.stage_index)}",
                f"its stages: {', '.join(active.stage_index)}",
                code=WRONG_INPUT,
            )
        return await list_priced(reader, clock_of(settings).now_ms(), stage=stage, grade=grade, limit=limit)


async def _feedback(
    settings: Settings, text: str, word: str, reason: str | None, version: int | None
) -> tuple[LeadSnapshot, Stage, str]:
    clock = clock_of(settings)
    async with _reader(settings) as reader:
        snapshot = await _find(reader, text)
        words = (await read_active_model(reader)).stage_by_feedback
    if word not in words:
        raise CommandError(
            f"no stage of the model lists the word {escaped(word)!r}.{did_you_mean(word, words)}",
            f"its words: {', '.join(words) or '(none)'}",
            code=WRONG_INPUT,
        )
    now = clock.now_ms()
    key = snapshot["lead_key"]
    record = Feedback(
        word=word,
        system="cli",
        object=key,
        version=now if version is None else version,
        silent=False,
        user=None,
        reason=reason,
    )
    brokers = brokers_of(settings)
    tp = TopicPartition(topics_of(settings).events, partition_of(key.encode(), await partition_count(settings)))
    offset = await send_record(brokers, tp, key.encode(), encode("Feedback", record), timestamp_ms=now)
    return snapshot, words[word], f"{tp.topic}/{tp.partition}/{offset}"


def _time(text: str) -> int:
    try:
        return round(datetime.fromisoformat(text).astimezone().timestamp() * 1000)
    except (ValueError, OverflowError, OSError) as error:
        raise CommandError(
            f"--at {escaped(text)}: no time", "write it as 2026-03-19T22:00 or 2026-03-19T22:00+01:00", code=WRONG_INPUT
        ) from error
