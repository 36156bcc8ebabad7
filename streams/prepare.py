"""Gets a broker ready for the parts: topics, and a model in force."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from processors.model_log import unpack_model
from schemas.records import ModelActivated
from streams.activation import Activation, plan_activation, write_activation
from streams.kafka.brokers import Brokers
from streams.kafka.provision import admin_client, ensure_topics, partition_counts
from streams.kafka.topic_checks import require_topics
from streams.kafka.topics import Topics
from streams.model_records import active_model

_REACH_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """`topics`: how many there are. `created`: how many of them were made. `activation`: what was done about the model."""

    topics: int
    partitions: int
    created: int
    activation: Activation

    @property
    def in_force(self) -> ModelActivated:
        return self.activation.record


async def prepare(
    brokers: Brokers,
    topics: Topics,
    model: str,
    now_ms: Callable[[], int],
    *,
    partitions: int,
    replication: int,
    keep_active: bool,
) -> Prepared:
    """Make the topics that are missing, and activate `model` (its text) where it is not in force yet. May be repeated.

    `partitions` and `replication` are of topics that are made; those that are there keep theirs. With `keep_active` a model
    that is in force stays, and `model` is for a log without one.

    Raises:
        ProvisionError: the broker refuses to create a topic.
        TopicsNotReadyError: the topics are not as they must be.
        KafkaError, OSError: the broker is away.
    """
    async with asyncio.timeout(_REACH_SECONDS), admin_client(brokers) as admin:
        counts = await partition_counts(admin)
    present = {counts[topic.name] for topic in topics.table if topic.name in counts}
    created = 0
    if len(present) < 2:  # of different counts nothing can be made, as the check says
        wanted = min(present, default=partitions)
        created = len((await ensure_topics(brokers, topics, partitions=wanted, replication=replication)).created)
    count = await require_topics(brokers, topics, copies=replication)
    active = await active_model(brokers, topics, count) if keep_active else None
    text = model if active is None else unpack_model(active["body"])
    activation = await plan_activation(brokers, topics, count, text, notify=False)
    if activation.partitions:
        await write_activation(brokers, topics, activation, now_ms)
    return Prepared(len(topics.table), count, created, activation)
