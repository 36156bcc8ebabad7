"""The read model from a real broker: Redis away at the start, gone in the middle, back empty."""

import asyncio
from contextlib import AbstractAsyncContextManager

import pytest
from aiokafka import AIOKafkaProducer
from redis.exceptions import RedisError

from schemas.codec import encode
from sinks.config import RedisSettings
from sinks.redis_leads import RedisLeads
from sinks.redis_reader import LeadReader
from sinks.redis_scripts import connect
from streams.delivery.delivery import SinkStatus
from streams.delivery.runner import SinkRun, run_sink
from streams.embedded.process import LOOPBACK, free_port, serve
from streams.embedded.store import answers_ping, store_arguments, store_program
from tests.brokers import Broker
from tests.eventually import eventually
from tests.sinks.memory import CountedMetrics
from tests.sinks.records import MARCH_2, snapshot, transition
from tests.streams.delivery.fresh_run import fresh_run


@pytest.fixture
async def run(broker: Broker, prefix: str) -> SinkRun:
    return await fresh_run("redis", broker, prefix, partitions=1)


async def send(run: SinkRun, offsets: range) -> None:
    """A snapshot and a transition of a lead of its own for each offset."""
    scores, moves = run.topics.scores, run.topics.transitions
    producer = AIOKafkaProducer(**run.kafka)
    await producer.start()
    for offset in offsets:
        key = f"1v{offset}"
        move = encode("StageTransition", transition(offset=offset, lead_key=key))
        await producer.send_and_wait(
            scores, encode("LeadSnapshot", snapshot(offset=offset, lead_key=key)), key.encode()
        )
        await producer.send_and_wait(moves, move, key.encode())
    await producer.stop()


async def test_redis_may_come_late_go_away_and_come_back_empty_and_the_read_model_is_whole(run: SinkRun) -> None:
    port = free_port()
    client = connect(f"redis://{LOOPBACK}:{port}/0")
    leads = LeadReader(client)
    stop, status = asyncio.Event(), SinkStatus()
    sink = RedisLeads(RedisSettings(f"redis://{LOOPBACK}:{port}/0"))
    task = asyncio.create_task(
        run_sink(run, sink, metrics=CountedMetrics(), now_ms=lambda: MARCH_2, stop=stop, status=status)
    )

    def store() -> AbstractAsyncContextManager[object]:
        return serve(
            "the store", lambda _: [store_program(), *store_arguments(port)], lambda _: answers_ping(port), None, 10
        )

    async def holds(count: int) -> bool:
        try:
            feed = await leads.latest_transitions()
            return await leads.count_leads() == count and {move["offset"] for move in feed} == set(range(count))
        except RedisError:  # our own connection is one to the store that went away
            return False

    try:
        await send(run, range(5))
        await eventually(lambda: status.trouble == "Redis: ConnectionError", 30)
        async with store():
            await eventually(lambda: holds(5), 60)
        await send(run, range(5, 9))
        await eventually(lambda: status.trouble is not None, 30)
        async with store():
            await eventually(lambda: holds(9), 60)
    finally:
        stop.set()
        await task
        await client.aclose()
