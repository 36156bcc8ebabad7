"""`leadstream model check --on 30d`: which rules did no act of that time fit?"""

from typing import Any

import click
from aiokafka import TopicPartition
from rich.console import Console

from processors.model import Checked
from processors.rule_fits import RuleFits
from streams.cli.exits import WRONG_INPUT, CommandError
from streams.cli.printing import plural
from streams.cli.services import brokers_of, partition_count, run, settings_of
from streams.cli.times import shown_span
from streams.recent_events import ReadEvents, read_recent_events
from streams.settings.config import Settings, broker_is_named, clock_of, topics_of


def warn_of_unfitted(context: click.Context, checked: Checked, span_ms: int) -> dict[str, Any]:
    """Read the events of the last `span_ms` and add a warning for each rule that none of them fits; what was read.

    Raises:
        CommandError: no broker is configured, or it is away.
    """
    settings = settings_of(context)
    if not broker_is_named(context.find_root().obj):
        raise CommandError(
            "--on reads the events log, and no broker is configured",
            "set KAFKA_BOOTSTRAP_SERVERS (kafka.bootstrap_servers in leadstream.toml)",
            code=WRONG_INPUT,
        )
    now, fits, span = clock_of(settings).now_ms(), RuleFits(checked.model), shown_span(span_ms)
    read = run(_read(settings, fits, now - span_ms), settings)
    if not fits.seen:
        click.echo(f"no act in the last {span}: which rules fit cannot be told", err=True)
    else:
        for rule, told in fits.unfitted(now - span_ms, now, span):
            checked.warn_of_condition(rule, told)
    if read.cut:
        click.echo(f"only the newest {plural(read.events, 'event')} of the last {span} were read", err=True)
    return {"span_ms": span_ms, "events": read.events, "cut": read.cut}


async def _read(settings: Settings, fits: RuleFits, since: int) -> ReadEvents:
    """With its progress on a terminal."""
    events = topics_of(settings).events
    partitions = [TopicPartition(events, number) for number in range(await partition_count(settings))]
    with Console(stderr=True).status("reading events") as status:
        return await read_recent_events(
            brokers_of(settings),
            partitions,
            since,
            see=fits.see,
            progress=lambda count: status.update(f"reading events: {count:,}"),
        )
