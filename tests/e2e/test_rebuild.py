"""Rows that are lost as a whole, made anew by workers from the first record of the log: docs/runbook.md, A worker ends."""

import asyncio
from pathlib import Path

import aiohttp
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from streams.kafka.log_reader import read_log
from streams.kafka.provision import admin_client, ensure_topics
from tests.brokers import Broker
from tests.e2e.deployment import PARTITIONS, Deployment, deployment
from tests.eventually import eventually

LEADS, ROUNDS = 10, 8
PAGE = "https://www.acme.example/pricing"


async def visits(parts: Deployment, first_round: int) -> None:
    async with aiohttp.ClientSession() as session:
        for number in range(first_round, first_round + ROUNDS):
            batch = [
                {
                    "type": "page_view",
                    "anonymous_id": f"ada-{lead}",
                    "event_id": f"{lead}/{number}",
                    "url": PAGE,
                    "traits": {"email": f"ada-{lead}@bigbank.example"},
                }
                for lead in range(LEADS)
            ]
            async with session.post(f"{parts.url}/v1/events", json=batch) as response:
                assert response.status == 200


async def verified(parts: Deployment) -> bool:
    code, out, _ = await parts.leadstream("verify")
    return code == 0 and f"{LEADS} leads equal" in out and "not folded yet" not in out


async def told(parts: Deployment) -> set[bytes]:
    """Every transition on the topic, by its bytes."""
    tps = [TopicPartition(parts.topics.transitions, number) for number in range(PARTITIONS)]
    return {record.value async for record in read_log(parts.broker.at, tps)}


async def lose_rows_and_reset_the_group(parts: Deployment) -> None:
    async with admin_client(parts.broker.at) as admin:
        await admin.delete_topics([parts.topics.rows])

        async def gone() -> bool:
            return parts.topics.rows not in await admin.list_topics()

        await eventually(gone, seconds=30)
    await ensure_topics(parts.broker.at, parts.topics, partitions=PARTITIONS)
    code, out, _ = await parts.leadstream("verify")
    assert (code, "the group has committed it" in out) == (1, True), out
    events = [TopicPartition(parts.topics.events, number) for number in range(PARTITIONS)]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=parts.broker.bootstrap_servers,
        group_id=parts.topics.worker_group,
        enable_auto_commit=False,
    )
    try:
        await consumer.start()
        consumer.assign(events)

        async def reset() -> bool:  # refused while a worker that was stopped is still remembered
            try:
                await consumer.commit({tp: OffsetAndMetadata(0, "") for tp in events})
            except KafkaError:
                return False
            return True

        await eventually(reset, seconds=60)
    finally:
        await consumer.stop()


async def test_rows_that_are_lost_come_back_from_the_log_and_tell_nothing_new(
    broker: Broker, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    if broker.kind == "embedded":
        pytest.skip("NOT TESTED ON THE EMBEDDED BROKER: it deletes no topic")
    async with deployment(broker, redis_url, prefix, tmp_path) as parts:
        parts.start_collector()
        parts.start("worker", "worker", port="LEADSTREAM_WORKER_STATUS_PORT")
        await asyncio.gather(parts.ready("collector"), parts.ready("worker"))
        await visits(parts, 0)
        await eventually(lambda: verified(parts), seconds=60)
        before = await told(parts)
        assert before
        await parts.children["worker"].stop(grace_seconds=30)
        await lose_rows_and_reset_the_group(parts)
        parts.start("worker", "worker", port="LEADSTREAM_WORKER_STATUS_PORT")
        await parts.ready("worker")
        await eventually(lambda: verified(parts), seconds=60)
        assert await told(parts) == before  # told again, with the same bytes
        await visits(parts, ROUNDS)
        await eventually(lambda: verified(parts), seconds=60)
