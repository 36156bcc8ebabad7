"""The Faust application of a worker, and the hooks where Faust calls the engine."""

from collections.abc import Awaitable, Callable
from typing import Any

import faust
from faust.tables.recovery import RebalanceAgain

from streams.engine.partitions import Batch
from streams.engine.settings import EngineSettings
from streams.engine.transport import BatchScheduler, BatchSchema, Owner, SilentMonitor, Transport
from streams.kafka.brokers import Security

__all__ = ["RebalanceAgain", "make_app"]


class EngineApp(faust.App):
    def _create_directories(self) -> None:
        """Nothing is kept on disk."""


def make_app(
    settings: EngineSettings,
    owner: Owner,
    *,
    fold: Callable[[Batch], Awaitable[None]],
    on_assigned: Callable[[], Awaitable[None]],
) -> Any:
    """A Faust app whose one agent folds batches of the events topic.

    Args:
        settings: of the worker.
        owner: what the transport asks for partitions and checkpoints.
        fold: called for each batch, in order.
        on_assigned: awaited after each rebalance, before anything is fetched; may raise RebalanceAgain.
    """
    app = EngineApp(
        settings.group,
        broker=[f"kafka://{server.strip()}" for server in settings.bootstrap_servers.split(",")],
        broker_credentials=_credentials(settings.security),
        broker_client_id=f"{settings.group}-worker",
        broker_commit_interval=settings.checkpoint_interval_seconds,
        broker_session_timeout=settings.session_timeout_seconds,
        broker_heartbeat_interval=settings.heartbeat_interval_seconds,
        broker_rebalance_timeout=settings.rebalance_timeout_seconds,
        # The answer to a join comes only when the rebalance is over.
        broker_request_timeout=5 + max(settings.session_timeout_seconds, settings.rebalance_timeout_seconds),
        broker_max_poll_interval=max(120.0, 2 * settings.stall_seconds),
        broker_max_poll_records=settings.batch_records,
        consumer_auto_offset_reset="none",
        consumer_group_instance_id=settings.instance_id,
        consumer_max_fetch_size=settings.fetch_max_bytes,
        producer_linger=0,
        producer_max_batch_size=524_288,
        producer_max_request_size=1_048_576,
        producer_request_timeout=settings.send_deadline_seconds,
        stream_buffer_maxsize=settings.buffered_batches,
        stream_wait_empty=False,
        table_standby_replicas=0,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        autodiscover=False,
        cython_optimizations=True,
        ConsumerScheduler=BatchScheduler,
        monitor=SilentMonitor(),
    )
    app.in_worker = True
    app.transport = Transport(app.conf.broker_consumer, app, owner)
    app.producer_transport = app.transport

    events = app.topic(settings.events_topic, schema=BatchSchema(), acks=False)

    @app.agent(events, concurrency=1)
    async def folding(batches: Any) -> None:
        async for batch in batches:
            await fold(batch)

    async def assigned(*_: Any, **__: Any) -> None:
        await on_assigned()

    app.on_rebalance_complete.connect(assigned)
    return app


def _credentials(security: Security) -> Any:
    if security.ssl_context is None:
        return None
    if security.sasl_mechanism is None:
        return faust.SSLCredentials(security.ssl_context)
    return faust.SASLCredentials(
        username=security.username,
        password=security.password,
        ssl_context=security.ssl_context,
        mechanism=security.sasl_mechanism,
    )
