"""`leadstream tail events|transitions|dead-letters`."""

import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import click
from aiokafka import TopicPartition

from schemas.keys import ANONYMOUS, USER
from streams.cli.printing import print_json
from streams.cli.record_text import record_data, record_line, types_of
from streams.cli.services import brokers_of, partition_count, run, settings_of
from streams.cli.words import Choice
from streams.kafka.brokers import Brokers
from streams.kafka.log_reader import follow, log_end, log_start, read_log
from streams.settings.config import Settings, topics_of

_KINDS = ("events", "transitions", "dead-letters")
_FIRST_WINDOW, _GROWTH = 64, 8


@dataclass(frozen=True, slots=True)
class Filter:
    """`lead`: a lead key, or the id in it; `type_`: a type of event, a cause, direction or stage, a reason, a kind."""

    lead: str | None = None
    type_: str | None = None

    def fits(self, data: dict[str, Any]) -> bool:
        keys = {self.lead, ANONYMOUS + (self.lead or ""), USER + (self.lead or "")}
        return (self.lead is None or data["key"] in keys) and (self.type_ is None or self.type_ in types_of(data))


@click.command()
@click.argument("what", metavar="events|transitions|dead-letters", type=Choice(_KINDS))
@click.option("--lead", metavar="ID", help="Only of this lead: a lead key, an anonymous id or a user id.")
@click.option("--type", "type_", metavar="T", help="Only this type of event, cause or stage of move, or reason.")
@click.option("-n", "count", type=click.IntRange(1, 100_000), metavar="N", help="The last N, and end.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@click.pass_context
def tail(
    context: click.Context, what: str, *, lead: str | None, type_: str | None, count: int | None, as_json: bool
) -> int:
    """Show records as they come, from now on; Ctrl-C ends it.

    \b
    leadstream tail events --type page_view
    leadstream tail transitions -n 20
    leadstream tail dead-letters --type bad_json --json
    """
    settings = settings_of(context)
    wanted = Filter(lead, type_)
    show = print_json if as_json else lambda data: click.echo(record_line(data))
    try:
        if count is not None:
            for data in run(_last(settings, what, wanted, count), settings):
                show(data)
        else:
            run(_follow(settings, what, wanted, show), settings)
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:  # whoever read us has seen enough; nor may the flush at the end fail
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


async def _follow(settings: Settings, what: str, wanted: Filter, show: Callable[[dict[str, Any]], None]) -> None:
    brokers, tps = brokers_of(settings), await _partitions(settings, what)
    ends = await log_end(brokers, tps)
    click.echo(f"{tps[0].topic}, from now on; Ctrl-C ends it", err=True)
    async with aclosing(follow(brokers, tps, start=ends)) as records:  # from the ends of the moment that was announced
        async for record in records:
            data = record_data(record)
            if wanted.fits(data):
                show(data)
                sys.stdout.flush()


async def _last(settings: Settings, what: str, wanted: Filter, count: int) -> list[dict[str, Any]]:
    """The last `count` that fit, oldest first, read backwards in growing windows."""
    brokers, tps = brokers_of(settings), await _partitions(settings, what)
    starts, ends = await log_start(brokers, tps), await log_end(brokers, tps)
    window = max(count, _FIRST_WINDOW)
    while True:
        begin = {tp: max(starts[tp], ends[tp] - window) for tp in tps}
        found = [data async for data in _read(brokers, begin, ends) if wanted.fits(data)]
        if len(found) >= count or begin == starts:
            found.sort(key=lambda data: (data["timestamp"], data["partition"], data["offset"]))
            return found[-count:]
        window *= _GROWTH


async def _read(
    brokers: Brokers, begin: dict[TopicPartition, int], ends: dict[TopicPartition, int]
) -> AsyncIterator[dict[str, Any]]:
    async for record in read_log(brokers, list(begin), start=begin, stop=ends):
        yield record_data(record)


async def _partitions(settings: Settings, what: str) -> list[TopicPartition]:
    topics = topics_of(settings)
    names = dict(zip(_KINDS, (topics.events, topics.transitions, topics.dead_letters), strict=True))
    return [TopicPartition(names[what], number) for number in range(await partition_count(settings))]
