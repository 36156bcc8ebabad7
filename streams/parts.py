"""The composition root: each part of leadstream, wired from the settings. Nothing is connected or read at import."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

from processors.fold_partition import PartitionFold
from schemas.codec import Kind
from schemas.metrics import Metrics
from sinks.alerts import AlertsSink
from sinks.base import Sink
from sinks.business_metrics import BusinessMetrics
from sinks.channels import TerminalChannel, open_channels
from sinks.config import SHOWN_TRAITS, AlertsSettings, RedisSettings, WebhookSettings
from sinks.redis_leads import RedisLeads
from sinks.webhook import WebhookSink
from sources.base import BrokerUnavailableError, EventProducer
from sources.http.app import Collector
from sources.http.server import CollectorServer
from sources.kafka_producer import KafkaEventProducer
from sources.spool.spool import Spool, SpoolStatus
from sources.spool.spooling_producer import SpoolingProducer
from streams.announced_exit import AnnouncedExits
from streams.clock import SystemClock
from streams.delivery.dead_share import DeadShare
from streams.delivery.delivery import SinkStatus
from streams.delivery.runner import SinkRun, run_sink
from streams.engine.settings import EngineSettings
from streams.engine.worker import Worker
from streams.http_status import Check, serve_status, status_app
from streams.kafka.brokers import Brokers
from streams.kafka.topic_checks import TopicsNotReadyError, require_topics
from streams.metrics import PrometheusMetrics
from streams.model_records import FirstModels
from streams.page.dev_page import DevPage
from streams.page.recent_requests import RecentRequests
from streams.page.watched_model import watched_model
from streams.scoring_state import ScoringState
from streams.settings.brokers import read_brokers
from streams.settings.collector import collector_settings
from streams.settings.config import Settings, clock_of, topics_of

log = logging.getLogger(__name__)

TOPICS_SECONDS = 10.0
SINKS = ("redis", "webhook", "alerts", "metrics")


# --- worker ---


def make_worker(settings: Settings, partitions: int, models: FirstModels, metrics: Metrics) -> Worker:
    """A worker for `partitions` partitions; `models`: the first activation in each (docs/adr/0004)."""
    topics = topics_of(settings)
    outputs: dict[Kind, str] = {
        "StageTransition": topics.transitions,
        "LeadSnapshot": topics.scores,
        "ModelActivated": topics.scores,
        "DeadLetter": topics.dead_letters,
    }

    share = DeadShare(settings.worker.dead_letter_share)  # of the whole worker: each of its partitions adds to it

    def empty_state(number: int) -> ScoringState:
        fold = PartitionFold(topics.events, number, partitions, models.get(number))
        return ScoringState(fold, number, outputs, metrics, share)

    # The embedded broker needs half a session for the first join, has no idempotent producer, and answers a fetch that
    # finds nothing only at the end of its wait.
    embedded = settings.kafka.embedded
    brokers = read_brokers(settings.kafka)
    engine = EngineSettings(
        bootstrap_servers=brokers.servers,
        security=brokers.security,
        events_topic=topics.events,
        changelog_topic=topics.rows,
        output_topics=tuple(sorted(set(outputs.values()))),
        group=topics.worker_group,
        instance_id=settings.worker.instance_id or None,
        idempotence=not embedded,
        fetch_wait_ms=25 if embedded else 100,
        session_timeout_seconds=6.0 if embedded else 30.0,
        heartbeat_interval_seconds=2.0 if embedded else 3.0,
    )
    return Worker(engine, empty_state, clock_of(settings), metrics)


async def serve_worker_status(worker: Worker, settings: Settings, metrics: PrometheusMetrics) -> None:
    """/livez, /readyz and /metrics of a worker, for as long as it runs."""

    async def check() -> str | None:
        health = worker.health()
        return None if health["ready"] else str(health["failure"] or "not ready: joining the group, or recovering")

    shown: set[str] = set()

    def render() -> tuple[bytes, str]:
        counts: Counter[str] = Counter(dict.fromkeys(shown, 0))
        for partition in worker.partitions:
            if isinstance(partition.state, ScoringState):
                counts.update(partition.state.leads_by_stage())
        for stage, count in counts.items():
            metrics.set("leadstream_worker_leads", count, stage=stage)
        shown.update(counts)
        return metrics.render()

    app = status_app(render, {"worker": check})
    async with serve_status(app, settings.worker.status_port, settings.worker.status_host):
        await asyncio.Event().wait()


# --- collector ---


@asynccontextmanager
async def running_collector(
    settings: Settings, partitions: int | None, metrics: PrometheusMetrics
) -> AsyncIterator[CollectorServer]:
    """A collector with its producer, ready to be started on its port; ended in order with the block. `partitions` None: the
    brokers are away, so the topics are checked when they are back; until then everything is spooled.

    Raises:
        ValueError: a setting that is none, such as a network in `trusted_proxies`.
        SpoolUnusableError: the directory of the spool cannot be used.
    """
    clock = clock_of(settings)
    brokers = read_brokers(settings.kafka)

    async def find_partitions() -> dict[str, int]:
        count = partitions if partitions is not None else await _checked_count(settings, brokers)
        topics = topics_of(settings)
        return {topics.events: count, topics.dead_letters: count}

    producer = KafkaEventProducer(
        brokers.servers,
        find_partitions,
        now_ms=clock.now_ms,
        connection=brokers.security.client_arguments(),
    )
    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(watched_model(settings.redis.url, clock.now_ms))
        requests = RecentRequests(clock.now_ms) if settings.collector.dev_page else None
        spooling = _spooling(settings, producer, metrics)

        def metrics_page() -> bytes:
            if spooling is not None:
                show_spool(spooling.status(), clock.now_ms(), metrics)
            return metrics.render()[0]

        collector = Collector(
            collector_settings(settings),
            spooling or producer,
            now_ms=clock.now_ms,
            metrics=metrics,
            metrics_page=metrics_page,
            spool=None if spooling is None else spooling.status,
            explain=model.explain,
            on_event=None if requests is None else requests.accept,
        )
        app = collector.app()
        if requests is not None:
            DevPage(settings, requests, model.model, model.leads_now).add_to(app)
        await producer.start()
        stack.push_async_callback(producer.stop)
        if spooling is not None:
            await spooling.start()
            stack.push_async_callback(spooling.stop)
        server = CollectorServer(collector, app, host=settings.collector.host, port=settings.collector.port)
        stack.push_async_callback(server.stop)
        yield server


async def _checked_count(settings: Settings, brokers: Brokers) -> int:
    try:
        async with asyncio.timeout(TOPICS_SECONDS):  # tried again
            return await require_topics(brokers, topics_of(settings), copies=settings.kafka.replication_factor)
    except TopicsNotReadyError as error:
        log.error("what is spooled waits until somebody has mended this: %s", error)  # noqa: TRY400  # the text tells
        raise BrokerUnavailableError(str(error)) from error


def _spooling(settings: Settings, producer: EventProducer, metrics: Metrics) -> SpoolingProducer | None:
    if not settings.collector.spool_dir:
        return None
    spool = Spool(
        Path(settings.collector.spool_dir), settings.collector.spool_max_bytes, now_ms=clock_of(settings).now_ms
    )
    return SpoolingProducer(producer, spool, metrics)


def show_spool(status: SpoolStatus, now_ms: int, metrics: Metrics) -> None:
    oldest_ms = now_ms if status.oldest_ms is None else status.oldest_ms
    metrics.set("leadstream_collector_spool_records", status.records)
    metrics.set("leadstream_collector_spool_bytes", status.bytes)
    metrics.set("leadstream_collector_spool_oldest_age_seconds", max(0, now_ms - oldest_ms) / 1000)


# --- sinks ---


def make_sink(name: str, settings: Settings, metrics: Metrics) -> Sink:
    """One of `SINKS`.

    Raises:
        ValueError: what is wrong with its settings.
    """
    match name:
        case "redis":
            return RedisLeads(RedisSettings(settings.redis.url))
        case "webhook":
            hook = settings.webhook
            if not hook.url:
                raise ValueError("[webhook] url is not set: nowhere to send to")
            webhook = WebhookSettings(hook.url, tuple(hook.secret.split()), allow_private=hook.allow_private)
            return WebhookSink(webhook, SystemClock().now_ms)  # receivers refuse a signature that is not of now
        case "alerts":
            return _alerts(settings, metrics)
        case "metrics":
            return BusinessMetrics(metrics)
        case _:
            raise ValueError(f"no sink {name!r}; there are: {', '.join(SINKS)}")


def _alerts(settings: Settings, metrics: Metrics) -> AlertsSink:
    alerts = AlertsSettings(
        redis_url=settings.redis.url,
        shown_traits=tuple(settings.alerts.show) or SHOWN_TRAITS,
        timezone=ZoneInfo(settings.alerts.timezone),
    )
    channels = open_channels({name: channel.url for name, channel in settings.channels.items()})
    fallback = TerminalChannel() if settings.alerts.terminal else None
    exits = AnnouncedExits(read_brokers(settings.kafka), topics_of(settings))
    return AlertsSink(alerts, channels, metrics=metrics, fallback=fallback, next_exit=exits.of)


async def run_named_sink(
    name: str,
    sink: Sink,
    settings: Settings,
    metrics: PrometheusMetrics,
    stop: asyncio.Event,
    *,
    from_beginning: bool = False,
) -> None:
    """Run one sink until `stop`, with its status page where a port is set."""
    status = SinkStatus()
    run = SinkRun(
        name=name,
        topics=topics_of(settings),
        kafka=read_brokers(settings.kafka).client_arguments(),
        session_timeout_ms=6_000 if settings.kafka.embedded else 10_000,
        fetch_wait_ms=25 if settings.kafka.embedded else 500,
        dead_letter_share=settings.sinks.dead_letter_share,
    )

    async def check() -> str | None:
        return status.problem() or await sink.healthy()

    async with _status_page(settings, metrics, {name: check}):
        await run_sink(
            run,
            sink,
            metrics=metrics,
            now_ms=clock_of(settings).now_ms,
            stop=stop,
            status=status,
            from_beginning=from_beginning,
        )


@asynccontextmanager
async def _status_page(
    settings: Settings, metrics: PrometheusMetrics, checks: Mapping[str, Check]
) -> AsyncIterator[None]:
    if not settings.sinks.status_port:
        yield
        return
    app = status_app(metrics.render, checks)
    async with serve_status(app, settings.sinks.status_port, settings.sinks.status_host):
        yield
