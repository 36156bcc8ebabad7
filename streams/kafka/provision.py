"""Creates the topics and gives every events partition its first record, the epoch."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from processors.fold_partition import PART_KEY
from schemas.codec import encode
from schemas.keys import CONTROL_KEY
from schemas.records import Epoch
from schemas.rows import UnreadableRowError, unpack_part
from streams.kafka.brokers import Brokers
from streams.kafka.log_reader import last_record, log_end
from streams.kafka.send_record import RecordWriter
from streams.kafka.topics import Topic, Topics
from streams.kafka.trouble import start_client

BROKER_DEFAULT = -1
SAFE_COPIES, SAFE_IN_SYNC = 3, 2
_VISIBLE_SECONDS = 30.0
_POLL_SECONDS = 0.05


class ProvisionError(RuntimeError):
    """The topics cannot be made as wanted. The message names the topic and what to do."""


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What was done, or with `dry_run` what would be: topics created, events partitions given their epoch record."""

    created: tuple[str, ...]
    epochs: tuple[TopicPartition, ...]


async def ensure_topics(
    brokers: Brokers,
    topics: Topics,
    *,
    partitions: int,
    replication: int = BROKER_DEFAULT,
    dry_run: bool = False,
) -> Provisioned:
    """Create the topics that are missing and write an epoch record into each empty events partition: the first, or where
    rows know a log that is gone, the one after theirs.

    May be repeated, also after a crash between the two steps: a partition that has records is left alone. Two runs at
    the same moment may write the record twice, which the fold ignores. Settings of topics that exist are not touched;
    `check_topics` judges them.

    Raises:
        ProvisionError: a topic exists with another number of partitions, or the broker refuses to create one.
    """
    async with admin_client(brokers) as admin:
        present = await partition_counts(admin)
        _refuse_other_counts(present, topics, partitions)
        missing = [topic for topic in topics.table if topic.name not in present]
        if not dry_run:
            await _create(admin, missing, partitions, replication)
            await _wait_until_visible(admin, [topic.name for topic in missing])
    events = [TopicPartition(topics.events, number) for number in range(partitions)]
    ends = {} if dry_run and topics.events not in present else await log_end(brokers, events)
    empty = tuple(tp for tp in events if ends.get(tp, 0) == 0)
    if empty and not dry_run:
        await _write_epochs(brokers, topics, empty)
    return Provisioned(created=tuple(topic.name for topic in missing), epochs=empty)


@asynccontextmanager
async def admin_client(brokers: Brokers) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**brokers.client_arguments())
    try:
        await start_client(admin, brokers)
        yield admin
    finally:
        await admin.close()


async def partition_counts(admin: AIOKafkaAdminClient) -> dict[str, int]:
    """Topic -> number of partitions, of every topic there is.

    Asks for all: asked for one that is missing, the embedded broker would create it.
    """
    described: list[dict[str, Any]] = await admin.describe_topics()
    return {topic["topic"]: len(topic["partitions"]) for topic in described}


def _refuse_other_counts(present: dict[str, int], topics: Topics, partitions: int) -> None:
    for topic in topics.table:
        count = present.get(topic.name, partitions)
        if count != partitions:
            raise ProvisionError(
                f"topic {topic.name} has {count} partitions and {partitions} are wanted. The count of a live topic "
                f"never changes: say --partitions {count} (or kafka.partitions in the settings), or use another prefix."
            )


async def _create(admin: AIOKafkaAdminClient, missing: Iterable[Topic], partitions: int, replication: int) -> None:
    # With three copies, an acknowledged record is on two of them, and one broker may be away.
    durable = {"min.insync.replicas": str(SAFE_IN_SYNC)} if replication >= SAFE_COPIES else {}
    # aiokafka takes the broker's default only with an empty assignment, and a number only without one.
    assignment: dict[int, list[int]] | None = {} if replication == BROKER_DEFAULT else None
    new = [
        NewTopic(topic.name, partitions, replication, assignment, {**topic.settings, **durable}) for topic in missing
    ]
    if not new:
        return
    response = await admin.create_topics(new)
    for name, code, message in response.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:  # another run was a moment faster
            raise ProvisionError(f"the broker refused to create topic {name}: {message or error.__name__}")


async def _wait_until_visible(admin: AIOKafkaAdminClient, names: Iterable[str]) -> None:
    """Until every partition has a leader: a broker may answer before its metadata is complete."""
    waiting = set(names)
    try:
        async with asyncio.timeout(_VISIBLE_SECONDS):
            while waiting:
                waiting -= _led(await admin.describe_topics())
                await asyncio.sleep(_POLL_SECONDS if waiting else 0)
    except TimeoutError:
        raise ProvisionError(
            f"{', '.join(sorted(waiting))}: created, but without a leader after {_VISIBLE_SECONDS:g} s. "
            "Look at the broker, then run `leadstream topics ensure` again."
        ) from None


def _led(described: list[dict[str, Any]]) -> set[str]:
    return {
        topic["topic"]
        for topic in described
        if topic["partitions"] and all(partition["leader"] >= 0 for partition in topic["partitions"])
    }


async def _write_epochs(brokers: Brokers, topics: Topics, partitions: Iterable[TopicPartition]) -> None:
    async with RecordWriter.open(brokers) as writer:
        for tp in partitions:
            epoch: Epoch = {"epoch": 1 + await _epoch_of_rows(brokers, TopicPartition(topics.rows, tp.partition))}
            await writer.write([(tp, CONTROL_KEY, encode("Epoch", epoch))])


async def _epoch_of_rows(brokers: Brokers, rows: TopicPartition) -> int:
    """Of the partition's own row; 0: there is none. One that cannot be read is recovery's to name."""
    found = await last_record(brokers, rows, lambda record: bool(record.key == PART_KEY and record.value))
    try:
        return 0 if found is None else unpack_part(found.value).epoch
    except UnreadableRowError:
        return 0
