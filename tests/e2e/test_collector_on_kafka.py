"""The collector with its real producer: what it has answered with 2xx is in Kafka."""

import json
from typing import Any

import aiohttp

from schemas.codec import decode
from schemas.keys import partition_of
from sources.config import CollectorSettings
from sources.kafka_producer import KafkaEventProducer
from streams.embedded.process import free_port
from tests.brokers import Broker
from tests.eventually import eventually
from tests.sources.http.running import NOW, running_collector
from tests.sources.test_producers import PARTITIONS, consume, create_topic


async def post(url: str, body: Any) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=json.dumps(body).encode(), headers={"X-Leadstream-Sent-At": "123"}) as answer,
    ):
        return answer.status


async def test_events_and_dead_letters_are_in_their_topics_when_the_answer_comes(broker: Broker, prefix: str) -> None:
    settings = CollectorSettings(
        secret=b"secret", events_topic=f"{prefix}events", dead_letters_topic=f"{prefix}dead-letters"
    )
    await create_topic(broker.bootstrap_servers, settings.events_topic)
    await create_topic(broker.bootstrap_servers, settings.dead_letters_topic)

    async def find_partitions() -> dict[str, int]:
        return {settings.events_topic: PARTITIONS}

    producer = KafkaEventProducer(broker.bootstrap_servers, find_partitions, now_ms=lambda: NOW, deadline_seconds=5)
    await producer.start()
    try:
        async with running_collector(settings, producer=producer) as running:
            await eventually(producer.ready)
            calls = [{"type": "page", "anonymousId": f"visitor-{number}"} for number in range(20)]
            assert await post(running.url + "/v1/batch", {"batch": [*calls, {"type": "wat"}]}) == 200
            events = await consume(broker.bootstrap_servers, settings.events_topic)
            assert {record.key for record in events} == {f"1visitor-{number}".encode() for number in range(20)}
            assert len(events) == 20
            assert all(record.partition == partition_of(record.key, PARTITIONS) for record in events)
            assert all(record.timestamp == NOW for record in events)
            assert all(tuple(record.headers) == (("sent_at_ms", b"123"),) for record in events)
            (letter,) = await consume(broker.bootstrap_servers, settings.dead_letters_topic)
            assert decode(letter.value)[1]["reason"] == "bad_event"
    finally:
        await producer.stop()


async def test_the_collector_starts_and_answers_503_while_the_broker_is_away() -> None:
    async def find_partitions() -> dict[str, int]:
        return {}

    producer = KafkaEventProducer(f"127.0.0.1:{free_port()}", find_partitions, now_ms=lambda: NOW)
    await producer.start()
    try:
        async with running_collector(producer=producer) as running, aiohttp.ClientSession() as session:
            assert await post(running.url + "/v1/page", {"anonymousId": "a"}) == 503
            async with session.get(running.url + "/readyz") as answer:
                assert answer.status == 503
            async with session.get(running.url + "/livez") as answer:
                assert answer.status == 200
    finally:
        await producer.stop()
