"""`leadstream worker | collector | sink NAME`: one long-running part each, for containers."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable

import click
from aiokafka.errors import KafkaError

from processors.model.model import channels_of
from processors.model_log import read_model_record
from sources.http.server import CollectorServer
from sources.spool.spool import SpoolUnusableError
from streams.cli.exits import REFUSED, STOPPED, WRONG_INPUT, CommandError
from streams.cli.part_log import log_to_stderr
from streams.cli.services import DEADLINE_SECONDS, brokers_of, reaching, settings_of
from streams.cli.words import Choice
from streams.delivery.delivery import SinkStoppedError
from streams.kafka.brokers import Brokers
from streams.kafka.topic_checks import require_topics
from streams.metrics import PrometheusMetrics
from streams.model_records import FirstModels, active_model, wait_for_first_models
from streams.parts import (
    SINKS,
    make_sink,
    make_worker,
    run_named_sink,
    running_collector,
    serve_worker_status,
)
from streams.settings.config import Settings, topics_of
from streams.watchdog import ended_when_blocked


@click.command
@click.pass_context
def worker(context: click.Context) -> None:
    """Fold events into scores. Start as many as there are partitions; each may be killed at any time.

    \b
    leadstream worker
    LEADSTREAM_WORKER_STATUS_PORT=9101 leadstream worker     with /livez /readyz /metrics
    """
    settings = settings_of(context)
    log_to_stderr()
    metrics = PrometheusMetrics()
    with reaching(settings):
        partitions, models = asyncio.run(_ready(settings))
    process = make_worker(settings, partitions, models, metrics)
    status = settings.worker.status_port
    sys.exit(process.run((lambda: serve_worker_status(process, settings, metrics)) if status else None))


async def _ready(settings: Settings) -> tuple[int, FirstModels]:
    """Topics as they must be, and a model in every partition; waits for the model."""
    brokers, topics = brokers_of(settings), topics_of(settings)
    partitions = await require_topics(brokers, topics, copies=settings.kafka.replication_factor)

    def tell(missing: list[int]) -> None:
        click.echo(
            f"no model is active in {len(missing)} of {partitions} partitions; waiting. Activate one:\n"
            "  leadstream model activate model.yaml",
            err=True,
        )

    return partitions, await wait_for_first_models(brokers, topics, partitions, on_missing=tell)


@click.command
@click.pass_context
def collector(context: click.Context) -> None:
    """Take events over HTTP.

    Segment's API, POST /v1/events, and the tracker at /t.js.

    \b
    leadstream collector
    LEADSTREAM_COLLECTOR_HOST=0.0.0.0 leadstream collector
    """
    settings = settings_of(context)
    if not settings.collector.key_secret:
        raise CommandError(
            "no secret for lead keys",
            "Set LEADSTREAM_COLLECTOR_KEY_SECRET_FILE to a file with 32 random characters, and keep it.",
            code=REFUSED,
        )
    log_to_stderr()
    brokers = brokers_of(settings)
    with reaching(settings):
        asyncio.run(_until_signal("collector", lambda stop: _collect(settings, brokers, stop)))


async def _collect(settings: Settings, brokers: Brokers, stop: asyncio.Event) -> None:
    partitions = await _partitions_now(settings, brokers)
    try:
        async with running_collector(settings, partitions, PrometheusMetrics()) as server:
            await _listen(server, settings)
            await stop.wait()
    except SpoolUnusableError as error:
        raise CommandError(
            str(error), "Set LEADSTREAM_COLLECTOR_SPOOL_DIR to a directory of its own that it may write.", code=REFUSED
        ) from error


async def _partitions_now(settings: Settings, brokers: Brokers) -> int | None:
    """None while the brokers are away and there is a spool to take what comes."""
    patience_seconds = DEADLINE_SECONDS if settings.collector.spool_dir else None
    try:
        async with asyncio.timeout(patience_seconds):
            return await require_topics(brokers, topics_of(settings), copies=settings.kafka.replication_factor)
    except (KafkaError, OSError):
        if not settings.collector.spool_dir:
            raise
        click.echo(
            f"the broker at {brokers.servers} does not answer; until it does, events are spooled",
            err=True,
        )
        return None


async def _listen(server: CollectorServer, settings: Settings) -> None:
    try:
        await server.start()
    except OSError as error:
        raise CommandError(
            f"port {settings.collector.port} of {settings.collector.host} cannot be used: {error.strerror}",
            "Set LEADSTREAM_COLLECTOR_PORT to a free one.",
            code=REFUSED,
        ) from error
    click.echo(f"collector on http://{settings.collector.host}:{server.port}", err=True)


@click.command
@click.argument("name", type=Choice(SINKS))
@click.option("--from-beginning", is_flag=True, help="Read every topic again from its first record, once.")
@click.pass_context
def sink(context: click.Context, name: str, from_beginning: bool) -> None:
    """Deliver transitions and scores to one destination.

    Each destination has a consumer group of its own.

    \b
    leadstream sink redis
    leadstream sink redis --from-beginning                   rebuild the read model
    """
    settings = settings_of(context)
    log_to_stderr()
    metrics, brokers = PrometheusMetrics(), brokers_of(settings)
    try:
        made = make_sink(name, settings, metrics)
    except ValueError as error:
        raise CommandError(str(error), code=WRONG_INPUT) from error

    async def deliver(stop: asyncio.Event) -> None:
        partitions = await require_topics(brokers, topics_of(settings), copies=settings.kafka.replication_factor)
        if name == "alerts":
            await _require_channels(settings, brokers, partitions)
        await run_named_sink(name, made, settings, metrics, stop, from_beginning=from_beginning)

    try:
        with reaching(settings):
            asyncio.run(_until_signal(f"sink {name}", deliver))
    except SinkStoppedError as error:
        raise CommandError(str(error), code=STOPPED) from error


async def _require_channels(settings: Settings, brokers: Brokers, partitions: int) -> None:
    """Refuse to start while the active model names a channel without settings: its alerts would reach nobody."""
    activated = await active_model(brokers, topics_of(settings), partitions)
    if activated is None or settings.alerts.terminal:
        return
    named = channels_of(read_model_record(activated["body"]).alerts)
    missing = sorted(named - settings.channels.keys())
    if missing:
        raise CommandError(
            f"the active model {activated['name']}@{activated['version']} sends alerts to {', '.join(missing)}, and the "
            "settings do not know " + ("it" if len(missing) == 1 else "them"),
            f'Add to leadstream.toml: [channels.{missing[0]}] with url = "..." (an apprise URL, or "terminal:").',
            code=REFUSED,
        )


async def _until_signal(part: str, run: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with ended_when_blocked(part):
        await run(stop)
