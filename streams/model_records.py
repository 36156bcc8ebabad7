"""Activations of models in the log: the first of each partition, and the newest of all."""

from collections.abc import Callable, Collection, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast

from aiokafka import ConsumerRecord, TopicPartition

from processors.fold_partition import MODEL_PREFIX, PART_KEY
from processors.model_log import ModelRecordError, read_model_record
from schemas.codec import UndecodableError, decode, kind_of
from schemas.records import ModelActivated
from schemas.rows import UnreadableRowError, unpack_part
from streams.kafka.brokers import Brokers
from streams.kafka.log_reader import follow, last_record, log_end, log_start, read_log
from streams.kafka.topics import Topics

FirstModels = dict[int, tuple[ModelActivated, int]]
Rank = tuple[int, str]  # (n, version): of two activations the larger is in force


async def first_models(brokers: Brokers, topics: Topics, partitions: int) -> FirstModels:
    """Per partition the first usable activation in its log, and the time of its record (ms UTC).

    It folds the records that stand before it. A partition without one is left out. Where retention has taken the
    beginning of a log, the activation that was repeated on the scores topic stands in: the records before it are gone,
    and those after it are folded by the models that the partition's own row names.

    Raises:
        LogStalledError, aiokafka.errors.KafkaError: the broker is away.
    """
    events = _partitions(topics.events, partitions)
    found: FirstModels = {}
    async with aclosing(read_log(brokers, events)) as records:
        async for record in records:
            _take_first(record, found)
            if len(found) == partitions:
                return found
    starts = await log_start(brokers, events)  # now: retention may have come while we read
    cut_off = [tp.partition for tp in events if starts[tp] > 0 and tp.partition not in found]
    if cut_off and (repeated := await repeated_model(brokers, topics)) is not None:
        found |= dict.fromkeys(cut_off, (repeated[0], repeated[1]))
    return found


async def wait_for_first_models(
    brokers: Brokers, topics: Topics, partitions: int, *, on_missing: Callable[[list[int]], None]
) -> dict[int, tuple[ModelActivated, int]]:
    """As `first_models`, for every partition but those whose own row names a model: where a log was made anew it has none.

    `on_missing` is called once if some have none yet; then it waits.

    Raises:
        LogStalledError, aiokafka.errors.KafkaError: the broker is away.
    """
    events = _partitions(topics.events, partitions)
    ends = await log_end(brokers, events)
    found = await first_models(brokers, topics, partitions)
    missing = [
        tp
        for tp in events
        if tp.partition not in found and not await _has_folded_a_model(brokers, topics, tp.partition)
    ]
    if not missing:
        return found
    on_missing([tp.partition for tp in missing])
    async with aclosing(follow(brokers, missing, start={tp: ends[tp] for tp in missing})) as records:
        async for record in records:
            _take_first(record, found)
            if all(tp.partition in found for tp in missing):
                break
    return found


async def _has_folded_a_model(brokers: Brokers, topics: Topics, number: int) -> bool:
    row = await last_record(brokers, TopicPartition(topics.rows, number), _is_part)
    return row is not None and bool(unpack_part(row.value).models)


@dataclass(frozen=True, slots=True)
class ModelsInForce:
    """What is activated: `ranks` holds (n, version) for each partition that has any, `newest` the largest's record."""

    ranks: Mapping[int, Rank]
    newest: ModelActivated | None


async def models_in_force(brokers: Brokers, topics: Topics, partitions: int) -> ModelsInForce:
    """What each partition's log has activated, folded or not.

    What is folded stands in the partition's own row; behind it the log is read.

    Raises:
        LogStalledError, aiokafka.errors.KafkaError: the broker is away.
        UnreadableRowError: a partition's own row cannot be read.
    """
    ranks: dict[int, Rank] = {}
    bodies: dict[Rank, ModelActivated] = {}
    events = _partitions(topics.events, partitions)
    starts, folded_to = await log_start(brokers, events), dict[TopicPartition, int]()
    for tp in events:
        row = await last_record(brokers, TopicPartition(topics.rows, tp.partition), _is_part)
        if row is not None:
            part = unpack_part(row.value)
            if part.next_offset > starts[tp]:
                folded_to[tp] = part.next_offset
            if part.models:
                ranks[tp.partition] = (part.models[-1].n, part.models[-1].hash)
    async with aclosing(read_log(brokers, events, start=folded_to)) as records:
        async for record in records:
            activated = usable_activation(record)
            if activated is not None:
                rank = (activated["n"], activated["version"])
                bodies[rank] = activated
                ranks[record.partition] = max(ranks.get(record.partition, (0, "")), rank)
    if not ranks:
        return ModelsInForce(ranks, None)
    partition, rank = max(ranks.items(), key=lambda item: item[1])
    return ModelsInForce(ranks, bodies.get(rank) or await _stored_model(brokers, topics, partition, rank))


async def active_model(brokers: Brokers, topics: Topics, partitions: int) -> ModelActivated | None:
    """The newest activation over all partitions, folded or not; None: there is none.

    Raises:
        As `models_in_force`.
    """
    return (await models_in_force(brokers, topics, partitions)).newest


async def _stored_model(brokers: Brokers, topics: Topics, partition: int, rank: Rank) -> ModelActivated | None:
    """The record of an activation that a partition's own row names."""
    key = MODEL_PREFIX + f"{rank[0]}/{rank[1]}".encode()
    found = await last_record(
        brokers,
        TopicPartition(topics.rows, partition),
        lambda record: record.key == key and bool(record.value),
    )
    if found is None:
        raise UnreadableRowError(f"{topics.rows}/{partition}: no {key!r}, which the partition's own row names")
    return cast("ModelActivated", decode(found.value)[1])


async def repeated_model(brokers: Brokers, topics: Topics) -> tuple[ModelActivated, int] | None:
    """The activation on the scores topic, and the time of its record."""
    tp = TopicPartition(topics.scores, 0)  # whose owner repeats them (docs/adr/0007)
    found = await last_record(brokers, tp, lambda record: usable_activation(record) is not None)
    activated = None if found is None else usable_activation(found)
    return None if found is None or activated is None else (activated, found.timestamp)


def _take_first(record: ConsumerRecord, found: FirstModels) -> None:
    if record.partition not in found and (activated := usable_activation(record)) is not None:
        found[record.partition] = (activated, record.timestamp)


def usable_activation(record: ConsumerRecord) -> ModelActivated | None:
    """The activation in a record; None for any other record, and for a model that the fold would refuse."""
    try:
        if kind_of(record.value or b"") != "ModelActivated":
            return None
        activated = cast("ModelActivated", decode(record.value)[1])
        read_model_record(activated["body"])
    except (UndecodableError, ModelRecordError):
        return None
    return activated


def _is_part(record: ConsumerRecord) -> bool:
    return bool(record.key == PART_KEY and record.value)


def _partitions(topic: str, count: int) -> Collection[TopicPartition]:
    return [TopicPartition(topic, number) for number in range(count)]
