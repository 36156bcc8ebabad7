"""`up` joins no group in which others work, on real brokers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer

from streams.kafka.provision import ensure_topics
from streams.kafka.topics import Topics
from streams.require_alone import NotAloneError, require_alone
from tests.brokers import Broker

OURS = "leadstream-up"
ON_APACHE = pytest.mark.parametrize("broker", [pytest.param("apache", marks=pytest.mark.kafka)], indirect=True)
ON_EMBEDDED = pytest.mark.parametrize("broker", ["embedded"], indirect=True)


@asynccontextmanager
async def member(broker: Broker, topics: Topics, group: str, instance_id: str | None = None) -> AsyncIterator[None]:
    """Somebody is in the group."""
    await ensure_topics(broker.at, topics, partitions=1)
    consumer = AIOKafkaConsumer(
        topics.scores,
        **broker.at.client_arguments(),
        group_id=group,
        group_instance_id=instance_id,
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        async with asyncio.timeout(30):
            while not consumer.assignment():
                await consumer.getmany(timeout_ms=50)
        yield
    finally:
        await consumer.stop()


async def ask(broker: Broker, topics: Topics) -> list[str]:
    """What was told while it waited."""
    told: list[str] = []
    await require_alone(broker.at, topics, {"redis"}, OURS, told.append)
    return told


@ON_APACHE
async def test_groups_without_members_and_those_of_no_concern_are_no_company(broker: Broker, prefix: str) -> None:
    topics = Topics(prefix)
    assert await ask(broker, topics) == []
    async with member(broker, topics, topics.sink_group("webhook")):
        assert await ask(broker, topics) == []


@ON_APACHE
async def test_a_worker_of_an_up_that_has_ended_is_replaced_and_any_other_is_not(
    broker: Broker, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topics = Topics(prefix)
    async with member(broker, topics, topics.worker_group, OURS):
        assert await ask(broker, topics) == []
    monkeypatch.setattr("streams.require_alone._LEAVE_SECONDS", 0.1)
    other = Topics(f"{prefix}other.")
    async with member(broker, other, other.worker_group, "worker-0"):
        with pytest.raises(NotAloneError, match=r"group \S+leadstream has a member at 127\.0\.0\.1 on the broker"):
            await ask(broker, other)


@ON_APACHE
async def test_a_sink_that_is_about_to_leave_is_waited_for(broker: Broker, prefix: str) -> None:
    topics, gone = Topics(prefix), asyncio.Event()

    async def leave() -> None:
        async with member(broker, topics, topics.sink_group("redis")):
            joined.set()
            await gone.wait()

    joined = asyncio.Event()
    leaving = asyncio.create_task(leave())
    await joined.wait()
    told: list[str] = []

    def on_wait(text: str) -> None:
        told.append(text)
        gone.set()

    await require_alone(broker.at, topics, {"redis"}, OURS, on_wait)
    await leaving
    assert len(told) == 1
    assert "leadstream.sink.redis has a member at 127.0.0.1; waiting" in told[0]


@ON_EMBEDDED
async def test_the_embedded_broker_of_another_up_is_no_broker_of_ones_own(broker: Broker, prefix: str) -> None:
    with pytest.raises(NotAloneError, match="is the embedded one of another `up`"):
        await ask(broker, Topics(prefix))
