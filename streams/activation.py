"""Activates a model: one record in every partition of the events topic, repeatable."""

from collections.abc import Callable
from dataclasses import dataclass

from aiokafka import TopicPartition

from processors.model_log import model_activated
from schemas.codec import encode
from schemas.keys import CONTROL_KEY
from schemas.records import ModelActivated
from streams.kafka.brokers import Brokers
from streams.kafka.send_record import RecordWriter
from streams.kafka.topics import Topics
from streams.model_records import Rank, models_in_force


@dataclass(frozen=True, slots=True)
class Activation:
    """What has to be written, and where.

    Attributes:
        before: the newest activation of the log; None: the first.
        partitions: those that do not have it yet; empty: nothing to do.
    """

    before: ModelActivated | None
    record: ModelActivated
    partitions: tuple[int, ...]

    @property
    def repeats(self) -> bool:
        """The content is already active: what is written, if anything, is what an interrupted run left out."""
        return self.before is not None and self.before["n"] == self.record["n"]


async def plan_activation(brokers: Brokers, topics: Topics, partitions: int, text: str, *, notify: bool) -> Activation:
    """Compare a model file with what the log has activated.

    Raises:
        ModelRecordError: it is no model.
        LogStalledError, aiokafka.errors.KafkaError: the broker is away.
    """
    in_force = await models_in_force(brokers, topics, partitions)
    before = in_force.newest
    record = model_activated(text, 1 if before is None else before["n"] + 1, notify=notify)
    if before is not None and _content(before) == _content(record):
        record = before
    rank: Rank = (record["n"], record["version"])
    missing = tuple(number for number in range(partitions) if in_force.ranks.get(number, (0, "")) < rank)
    return Activation(before, record, missing)


def _content(record: ModelActivated) -> tuple[str, str, int]:
    """The same model by a newer fold is another one."""
    return record["name"], record["version"], record["fold_version"]


async def write_activation(brokers: Brokers, topics: Topics, activation: Activation, now_ms: Callable[[], int]) -> None:
    """Write the record into the partitions that lack it, one after the other. Interrupted, it may be repeated.

    Raises:
        aiokafka.errors.KafkaError: the broker did not take one.
    """
    value = encode("ModelActivated", activation.record)
    async with RecordWriter.open(brokers) as writer:
        for number in activation.partitions:
            await writer.write([(TopicPartition(topics.events, number), CONTROL_KEY, value)], now_ms())
