"""Model activations in the events log: which came first, and which is in force."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import cast

from aiokafka import AIOKafkaProducer, TopicPartition

from schemas.codec import UndecodableError, decode, encode, kind_of
from schemas.keys import CONTROL_KEY
from schemas.records import ModelActivated
from streams.log_reader import read_log
from streams.topics import Topics

FirstModels = dict[int, tuple[ModelActivated, int]]
_POLL_SECONDS = 1.0


async def first_models(bootstrap_servers: str, topics: Topics, partitions: int) -> FirstModels:
    """Per partition its first activation and the time of that record (ms UTC); none for a partition without one.

    Records before it are folded by it (docs/adr/0004).
    """
    found: FirstModels = {}
    for number in range(partitions):
        log = read_log(bootstrap_servers, [TopicPartition(topics.events, number)])
        async with aclosing(log) as records:
            async for record in records:
                activated = read_activation(record.value)
                if activated is not None:
                    found[number] = (activated, record.timestamp)
                    break
    return found


async def wait_for_first_models(
    bootstrap_servers: str, topics: Topics, partitions: int, on_missing: Callable[[list[int]], Awaitable[None]]
) -> FirstModels:
    """As `first_models`, once every partition has one. `on_missing` is told of the partitions, once a second."""
    while True:
        found = await first_models(bootstrap_servers, topics, partitions)
        missing = [number for number in range(partitions) if number not in found]
        if not missing:
            return found
        await on_missing(missing)
        await asyncio.sleep(_POLL_SECONDS)


async def write_activation(
    bootstrap_servers: str, topics: Topics, partitions: int, record: ModelActivated, now_ms: int
) -> None:
    """Write the activation into every partition of the events topic; again is harmless, the larger (n, version) wins.

    Raises:
        KafkaError: a partition did not confirm. Run it again: until then some partitions go on with the model before.
    """
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all")
    await producer.start()
    try:
        value = encode("ModelActivated", record)
        for number in range(partitions):
            await producer.send_and_wait(topics.events, value, key=CONTROL_KEY, partition=number, timestamp_ms=now_ms)
    finally:
        await producer.stop()


def read_activation(value: bytes | None) -> ModelActivated | None:
    """The activation in a record of the log, if it is one."""
    try:
        if value is None or kind_of(value) != "ModelActivated":
            return None
        return cast("ModelActivated", decode(value)[1])
    except UndecodableError:
        return None
