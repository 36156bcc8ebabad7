"""Apache Kafka as production runs it: three nodes, three copies, two of which must have a record. Brokers are killed."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from aiokafka import TopicPartition
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streams.finding import Finding
from streams.kafka.log_reader import read_log
from streams.kafka.provision import admin_client, ensure_topics
from streams.kafka.topic_checks import check_topics
from streams.kafka.topics import Topics
from streams.verification.report import VerifyReport
from streams.verification.verify import verify
from tests.brokers import Broker, require_apache
from tests.e2e.deployment import PARTITIONS, Deployment, deployment
from tests.eventually import eventually
from tests.kafka.cluster import NODES, Cluster, stored_batches
from tests.logs import producer_of
from tests.streams.engine.cluster import create_topics, engine_settings
from tests.streams.engine.test_worker_on_brokers import Site

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

LEADS, ROUNDS = 20, 30
OF_THE_TOPIC = 1  # where a setting comes from, in Kafka's protocol
KILLED_AT, BACK_AT = 8, 20  # rounds


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started() -> AsyncIterator[Cluster]:
    require_apache()
    async with Cluster.start() as cluster:
        yield cluster


@pytest_asyncio.fixture(loop_scope="module")
async def cluster(started: Cluster) -> Cluster:
    """One for all tests, with all nodes up."""
    await started.boot()
    return started


@pytest.fixture
def broker(cluster: Cluster) -> Broker:
    return Broker("apache", cluster.bootstrap_servers)


async def test_topics_with_three_copies_leave_nothing_to_say(broker: Broker, prefix: str) -> None:
    topics = Topics(prefix)
    await ensure_topics(broker.at, topics, partitions=1, replication=NODES)
    assert await check_topics(broker.at, topics, copies=NODES) == [Finding("ok", "topics: 5 of 5, 1 partitions")]
    async with admin_client(broker.at) as admin:
        [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topics.rows)])
    [own] = [entry for entry in answer.resources[0][4] if entry[0] == "min.insync.replicas"]
    assert (own[1], own[3]) == ("2", OF_THE_TOPIC)  # not the default of these brokers, which is 2 as well


async def test_the_time_of_a_record_is_the_brokers(broker: Broker, prefix: str) -> None:
    topics = Topics(prefix)
    await ensure_topics(broker.at, topics, partitions=1, replication=NODES)
    before_ms = time.time_ns() // 1_000_000
    async with producer_of(broker.at, enable_idempotence=True) as producer:
        await producer.send_and_wait(topics.events, b"{}", key=b"1x", partition=0, timestamp_ms=1)
    tp = TopicPartition(topics.events, 0)
    [record] = [record async for record in read_log(broker.at, [tp], start={tp: 1})]
    assert record.timestamp_type == 1
    assert before_ms - 1_000 <= record.timestamp <= time.time_ns() // 1_000_000 + 1_000


async def post_round(session: aiohttp.ClientSession, url: str, number: int) -> None:
    """One page of each lead, sent again until it is taken, as an SDK does."""
    batch = [
        {
            "type": "page",
            "anonymousId": f"reader-{lead}",
            "messageId": f"m-{lead}-{number}",
            "properties": {"url": f"https://www.acme.example/blog/lineage-{number}", "duration_seconds": 90},
        }
        for lead in range(LEADS)
    ]

    async def taken() -> bool:
        async with session.post(f"{url}/v1/batch", json={"batch": batch}) as response:
            return response.status == 200

    await eventually(taken, seconds=60)


async def test_a_broker_killed_under_load_loses_nothing_and_counts_nothing_twice(
    cluster: Cluster, broker: Broker, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    topics = Topics(prefix)
    await ensure_topics(broker.at, topics, partitions=PARTITIONS, replication=NODES)
    async with deployment(broker, redis_url, prefix, tmp_path) as parts, aiohttp.ClientSession() as session:
        parts.start_collector()
        parts.start_worker()
        await asyncio.gather(*(parts.ready(name) for name in parts.children))
        victim = await cluster.coordinator_of(Topics(prefix).worker_group)  # the one that is missed most
        for number in range(ROUNDS):
            if number == KILLED_AT:
                victim.kill()
            if number == BACK_AT:
                await victim.boot()
            await post_round(session, parts.url, number)
        report = await folded(broker, topics, parts)
    assert (report.equal, report.accepted) == (True, report.scored + sum(report.dropped.values())), report
    # What was sent again has the same id and is left out: each act counts once, none is missing.
    assert report.scored == LEADS * ROUNDS, report
    for topic in topics.table:
        await eventually(lambda name=topic.name: cluster.in_sync(name), seconds=30)  # type: ignore[misc]  # mypy cannot infer a lambda with a default
    await written_as_promised(cluster, topics)


async def folded(broker: Broker, topics: Topics, parts: Deployment) -> VerifyReport:
    reports: list[VerifyReport] = []

    async def all_folded() -> bool:
        assert parts.children["worker"].exit_code is None, parts.log("worker")[-3000:]
        reports.append(await verify(broker.at, topics, PARTITIONS))
        return reports[-1].unfolded == 0

    await eventually(all_folded, seconds=60)
    return reports[-1]


async def written_as_promised(cluster: Cluster, topics: Topics) -> None:
    """What the worker wrote came from an idempotent producer; logs have the time of the broker. On every node's disk."""
    for node in cluster.nodes:
        for topic in (topics.scores, topics.rows, topics.transitions):
            batches = [batch for batch in stored_batches(node, topic) if not batch.control]
            assert batches or topic == topics.transitions
            assert all(batch.producer_id >= 0 and batch.first_sequence >= 0 for batch in batches), (topic, batches)
        events = list(stored_batches(node, topics.events))
        assert events
        assert all(batch.stamped_by_broker for batch in events)


async def test_with_two_of_three_away_the_worker_stops_and_commits_nothing_it_could_lose(
    cluster: Cluster, prefix: str, tmp_path: Path
) -> None:
    settings = engine_settings(
        cluster.bootstrap_servers,
        prefix,
        embedded=False,
        instance_id="only",  # the next worker takes over at once
        batch_records=100,
        checkpoint_interval_seconds=0.25,
        send_deadline_seconds=2.0,
    )
    await create_topics(settings, PARTITIONS, replication=NODES)
    site = Site(settings, tmp_path)
    try:
        await site.load.send(10_000)
        worker = await site.worker(fold_seconds=0.001)  # 10 s of work, so that much is left when they go
        await eventually(lambda: "owns partitions" in worker.log(), seconds=30)
        await site.committed(500)
        for node in cluster.nodes[1:]:
            node.kill()
        assert await worker.wait(60) == 70, worker.log()
        assert "worker stops: " in worker.log()
        await cluster.nodes[1].boot()  # two of three are enough again
        await site.worker()
        await site.folded()
        await site.check()
    finally:
        await site.close()
