"""Request to score through the real parts, on both brokers, while the worker is killed."""

import asyncio
import signal
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiokafka import TopicPartition
from redis.asyncio import Redis

from sinks.redis_reader import LeadReader
from sinks.redis_scripts import connect
from streams.delivery.letters import read_letters
from streams.kafka.provision import ensure_topics
from tests.brokers import Broker
from tests.e2e.deployment import PARTITIONS, Deployment, deployment
from tests.eventually import eventually
from tests.logs import producer_of, send_batch

LEADS, ROUNDS = 40, 25
PAGE = "https://www.acme.example/blog/lineage-"


@pytest.fixture
async def redis(redis_url: str) -> Any:
    client: Redis = connect(redis_url)
    await client.flushall()
    yield client
    await client.aclose()


async def post_round(session: aiohttp.ClientSession, url: str, number: int) -> None:
    """One long read per lead: 2 points each, never limited, so the score tells how often it counted."""
    for first in range(0, LEADS, 10):
        batch = [
            {
                "type": "page",
                "anonymousId": f"reader-{lead}",
                "messageId": f"m-{lead}-{number}",
                "properties": {"url": f"{PAGE}{number}", "duration_seconds": 90},
            }
            for lead in range(first, first + 10)
        ]
        async with session.post(f"{url}/v1/batch", json={"batch": batch}) as response:
            assert response.status == 200


async def counts(reader: LeadReader) -> list[int]:
    """How often the read of each lead counted, as Redis shows it."""
    found = []
    for lead in range(LEADS):
        snapshot = await reader.find_lead(f"reader-{lead}")
        units = {} if snapshot is None else {u["rule"]: u["count"] for u in snapshot["units"]}
        found.append(units.get("long-read", 0))
    return found


async def all_counted(reader: LeadReader) -> bool:
    found = await counts(reader)
    assert max(found) <= ROUNDS, "an act counted twice"
    return found == [ROUNDS] * LEADS


async def _some(reader: LeadReader, least: int) -> bool:
    return max(await counts(reader)) > least


async def start_all(parts: Deployment) -> None:
    parts.start_collector()
    parts.start_sink("redis")
    parts.start_worker()
    await asyncio.gather(*(parts.ready(name) for name in ("collector", "sink-redis", "worker")))


@pytest.mark.slow
async def test_every_accepted_act_counts_once_although_the_worker_is_killed(
    broker: Broker, redis_url: str, redis: Redis, prefix: str, tmp_path: Path
) -> None:
    async with deployment(broker, redis_url, prefix, tmp_path) as parts, aiohttp.ClientSession() as session:
        await start_all(parts)
        reader = LeadReader(redis)
        for number in range(ROUNDS):
            await post_round(session, parts.url, number)
            if number in {8, 16}:  # each kill meets a worker that has folded some of what the one before had not seen
                await eventually(partial(_some, reader, number - 7), seconds=60)
                parts.children["worker"].kill()
                parts.start_worker()
        await eventually(lambda: all_counted(reader), seconds=60)
        async with session.get(f"http://127.0.0.1:{parts.ports['worker']}/metrics") as response:
            assert f'leadstream_worker_leads{{stage="visitor"}} {LEADS}.0' in await response.text()


@pytest.mark.slow
async def test_redis_that_comes_back_empty_is_filled_again_from_the_topics(
    broker: Broker, redis_url: str, redis: Redis, prefix: str, tmp_path: Path
) -> None:
    async with deployment(broker, redis_url, prefix, tmp_path) as parts, aiohttp.ClientSession() as session:
        await start_all(parts)
        for number in range(ROUNDS):
            await post_round(session, parts.url, number)
        reader = LeadReader(redis)
        await eventually(lambda: all_counted(reader), seconds=60)
        await redis.flushall()
        await post_round(session, parts.url, 0)  # repeats: they change nothing, but make something to deliver
        await session.post(f"{parts.url}/v1/page", json={"anonymousId": "newcomer", "properties": {"url": PAGE}})
        await eventually(lambda: all_counted(reader), seconds=60)


async def test_a_worker_without_a_model_waits_and_names_the_command(
    broker: Broker, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    parts = Deployment(broker, redis_url, prefix, tmp_path)

    await ensure_topics(broker.at, parts.topics, partitions=2)
    worker = parts.start_worker()
    try:
        await eventually(lambda: "leadstream model activate" in parts.log("worker"), seconds=30)
        assert worker.exit_code is None
    finally:
        await worker.stop()


async def test_on_topics_that_are_not_as_they_must_be_every_part_refuses_and_says_what_to_run(
    broker: Broker, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    parts = Deployment(broker, redis_url, prefix, tmp_path)

    async def refusals() -> list[str]:
        for name in ("worker", "collector", "sink redis", "sink metrics"):
            parts.start(name, *name.split(), port="LEADSTREAM_COLLECTOR_PORT")
        children = parts.children.values()
        await eventually(lambda: all(child.exit_code is not None for child in children), seconds=60)
        assert [child.exit_code for child in children] == [4] * 4
        return [parts.log(name) for name in parts.children]

    assert all("does not exist; fix: leadstream topics ensure" in log for log in await refusals())
    await parts.provision()
    parts.more = {"LEADSTREAM_KAFKA_REPLICATION_FACTOR": "3"}
    logs = await refusals()
    assert all("fewer than 3 copies" in log and "leadstream topics check" in log for log in logs)
    assert not any("Traceback" in log for log in logs)


async def test_parts_say_what_they_work_on_and_end_with_0_when_they_are_told_to_stop(
    broker: Broker, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    async with deployment(broker, redis_url, prefix, tmp_path) as parts:
        children = [parts.start_worker(), parts.start_sink("redis")]
        await asyncio.gather(*(parts.ready(name) for name in ("worker", "sink-redis")))
        for child in children:
            child.send(signal.SIGTERM)
        await eventually(lambda: all(child.exit_code is not None for child in children), seconds=30)
        assert [child.exit_code for child in children] == [0, 0]
        log = parts.log("worker")
        said = [line.partition(" streams.engine.worker: ")[2] for line in log.splitlines()]
        owns, stopped = filter(None, said)
        assert owns.startswith("owns partitions [0, ")
        assert stopped == "stopped; all that was folded is durable"
        assert "Starting..." not in log  # as Faust says of each of its services
        assert f"sink redis: delivers {2 * PARTITIONS} partitions of {prefix}" in parts.log("sink-redis")


async def test_a_worker_that_can_use_next_to_nothing_stops_with_70_and_loses_nothing(
    broker: Broker, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    async with deployment(broker, redis_url, prefix, tmp_path) as parts:
        place = TopicPartition(parts.topics.events, 1)
        async with producer_of(broker.at) as producer:
            first = await send_batch(producer, place, [b"{broken"] * 300, key=b"1ada")
        worker = parts.start_worker()
        await eventually(lambda: worker.exit_code is not None, seconds=60)
        assert worker.exit_code == 70
        [said] = [line for line in parts.log("worker").splitlines() if "worker stops: " in line]
        assert "became dead letters, more than worker.dead_letter_share = 0.5 allows" in said
        assert f"the newest: {place.topic}/1/" in said
        assert "Traceback" not in parts.log("worker")

        told = {"LEADSTREAM_WORKER_INSTANCE_ID": "worker-0", "LEADSTREAM_WORKER_DEAD_LETTER_SHARE": "1.0"}
        parts.start("worker", "worker", port="LEADSTREAM_WORKER_STATUS_PORT", **told)
        wanted = {f"{place.topic}/1/{offset}" for offset in range(first, first + 300)}

        async def all_kept() -> bool:
            letters = await read_letters(broker.at, parts.topics.dead_letters, PARTITIONS)
            return {letter.id for letter in letters} == wanted

        await eventually(all_kept, seconds=60)


async def test_a_record_as_large_as_a_topic_takes_becomes_a_letter_and_stops_no_worker(
    broker: Broker, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    async with deployment(broker, redis_url, prefix, tmp_path) as parts:
        headers = [("traceparent", b"00-abc")]
        async with producer_of(broker.at, max_request_size=2 << 20) as producer:
            for key, size in ((b"1ada", 1_048_400), (b"k" * 600_000, 400_000)):  # the letter has its key twice
                await producer.send_and_wait(parts.topics.events, b"x" * size, key=key, partition=1, headers=headers)
        worker = parts.start_worker()

        async def both_kept() -> bool:
            letters = await read_letters(broker.at, parts.topics.dead_letters, PARTITIONS)
            cut = [{*letter.letter["context"]} for letter in letters]
            return cut == [{"header.traceparent", "value_bytes"}, {"header.traceparent", "key_bytes"}]

        await eventually(both_kept, seconds=60)
        assert worker.exit_code is None, parts.log("worker")


async def test_a_sink_that_can_use_next_to_nothing_stops_with_70_and_one_line(
    broker: Broker, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    async with deployment(broker, redis_url, prefix, tmp_path) as parts:
        async with producer_of(broker.at) as producer:
            await send_batch(producer, TopicPartition(parts.topics.transitions, 1), [b"garbage"] * 150, key=b"1ada")
        sink = parts.start_sink("metrics")
        await eventually(lambda: sink.exit_code is not None, seconds=60)
        assert sink.exit_code == 70
        last = parts.log("sink-metrics").splitlines()[-1]
        assert last.startswith("leadstream: sink metrics stops: 100 of the latest 100 records became dead letters")
        assert "Traceback" not in parts.log("sink-metrics")


async def test_the_alerts_sink_refuses_a_model_whose_channels_it_does_not_know(
    broker: Broker, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    async with deployment(broker, redis_url, prefix, tmp_path) as parts:
        sink = parts.start_sink("alerts")
        await eventually(lambda: sink.exit_code is not None, seconds=30)
        assert sink.exit_code == 4
        told = parts.log("sink-alerts")
        assert "sends alerts to lead-owner, marketing-digest, sales-china, sales-hot, sales-inbox" in told
        assert "[channels.lead-owner]" in told
