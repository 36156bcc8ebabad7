from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import RecordsToDelete

from streams.clock import SystemClock
from streams.doctor.readers import LATE_SECONDS, check_readers
from streams.finding import Finding
from streams.kafka.brokers import Brokers
from streams.kafka.provision import admin_client
from streams.kafka.topics import Topics
from streams.settings.config import Settings, Webhook
from tests.brokers import Broker
from tests.streams.scored_log import ScoredLog
from tests.streams.test_require_alone import ON_APACHE, ON_EMBEDDED

LATER_MS = round(LATE_SECONDS * 2_000)


async def look(broker: Broker, topics: Topics, settings: Settings | None = None, later_ms: int = 0) -> list[Finding]:
    embedded = broker.kind == "embedded"
    now_ms = SystemClock().now_ms() + later_ms
    return await check_readers(broker.at, topics, settings or Settings(), lambda: now_ms, embedded=embedded)


async def commit(brokers: Brokers, group: str, offsets: dict[TopicPartition, int]) -> None:
    """As a member that has gone."""
    consumer = AIOKafkaConsumer(**brokers.client_arguments(), group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(list(offsets))
        await consumer.commit(offsets)
    finally:
        await consumer.stop()


async def test_what_the_settings_ask_for_is_looked_at_and_nobody_there_is_a_warning(
    broker: Broker, prefix: str
) -> None:
    topics = Topics(prefix)
    async with ScoredLog.start(broker, topics):
        worker, redis = await look(broker, topics)
        _, _, webhook = await look(broker, topics, Settings(webhook=Webhook(url="https://hooks.acme.example")))
    assert [finding.level for finding in (worker, redis, webhook)] == ["warn"] * 3
    assert worker.what.startswith(f"worker: group {prefix}leadstream has ")
    assert worker.what.endswith(", 4 records wait")  # an epoch and a model in each of two partitions
    assert [finding.fix.rpartition(": ")[2] for finding in (worker, redis, webhook)] == [
        "leadstream worker",
        "leadstream sink redis",
        "leadstream sink webhook",
    ]


@ON_EMBEDDED
async def test_the_embedded_broker_tells_what_waits_and_not_who_is_there(broker: Broker, prefix: str) -> None:
    topics = Topics(prefix)
    async with ScoredLog.start(broker, topics):
        await commit(broker.at, Topics(prefix).worker_group, {TopicPartition(topics.events, 0): 1})
        worker, _ = await look(broker, topics)
    assert worker == Finding("ok", f"worker: group {prefix}leadstream, 3 records wait")


@ON_APACHE
async def test_a_sink_that_has_run_is_looked_at(broker: Broker, prefix: str) -> None:
    topics = Topics(prefix)
    async with ScoredLog.start(broker, topics):
        group = Topics(prefix).sink_group("metrics")
        await commit(broker.at, group, {TopicPartition(topics.transitions, 0): 0})
        *_, metrics = await look(broker, topics)
    assert (metrics.level, metrics.what) == ("warn", f"sink metrics: group {group} has no member, 0 records wait")


@ON_APACHE
async def test_a_worker_that_is_there_is_well_until_records_wait_for_long(broker: Broker, prefix: str) -> None:
    topics = Topics(prefix)
    async with ScoredLog.start(broker, topics):
        consumer = AIOKafkaConsumer(
            topics.events,
            **broker.at.client_arguments(),
            group_id=Topics(prefix).worker_group,
            enable_auto_commit=False,
        )
        await consumer.start()
        try:
            worker, _ = await look(broker, topics)
            assert worker == Finding("ok", f"worker: group {prefix}leadstream, 1 member, 4 records wait")
            late, _ = await look(broker, topics, later_ms=LATER_MS)
            assert late.level == "warn"
            assert "4 records wait, the oldest for 1" in late.what
            await consumer.commit({TopicPartition(topics.events, number): 2 for number in range(2)})
            done, _ = await look(broker, topics, later_ms=LATER_MS)
            assert done == Finding("ok", f"worker: group {prefix}leadstream, 1 member, 0 records wait")
        finally:
            await consumer.stop()


@ON_APACHE
async def test_records_that_were_deleted_unread_are_a_failure(broker: Broker, prefix: str) -> None:
    topics, first = Topics(prefix), TopicPartition(Topics(prefix).events, 0)
    async with ScoredLog.start(broker, topics):
        await commit(broker.at, Topics(prefix).worker_group, {first: 0})
        async with admin_client(broker.at) as admin:
            # An events topic is deleted from by retention; this asks for the same at once.
            await admin.delete_records({first: RecordsToDelete(before_offset=2)})
        worker, _ = await look(broker, topics)
    assert worker.level == "fail"
    assert "2 records were deleted unread" in worker.what
