"""The dead letters topic as people work through it: each letter once, with its number and what became of it."""

from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass
from typing import Any, cast, get_args

from aiokafka import ConsumerRecord, TopicPartition

from processors.dead_letters import Reason as WorkerReason
from schemas.codec import UndecodableError, decode, encode
from schemas.records import DeadLetter, DeadLetterHandled
from sources.outcomes import Reason as CollectorReason
from streams.delivery.delivery import UNDELIVERABLE
from streams.kafka.brokers import Brokers
from streams.kafka.log_reader import read_log

REASONS: tuple[str, ...] = tuple(sorted({*get_args(WorkerReason), *get_args(CollectorReason), UNDELIVERABLE}))


@dataclass(slots=True)
class Letter:
    """`number` counts from the oldest letter that is kept; `partition` is that of the dead letters topic where it stands.

    `handled`: None while it is open.
    """

    number: int
    partition: int
    letter: DeadLetter
    handled: DeadLetterHandled | None = None

    @property
    def id(self) -> str:
        return self.letter["id"]

    def mark(self, outcome: str, at: int, detail: str = "") -> tuple[bytes, bytes]:
        """Key and value of the record that says what became of it; its place is `partition`."""
        handled: DeadLetterHandled = {"id": self.id, "outcome": outcome, "at": at, "detail": detail}
        return self.id.encode(), encode("DeadLetterHandled", handled)


async def read_letters(brokers: Brokers, topic: str, partitions: int) -> list[Letter]:
    """Every letter once, oldest first, the handled ones too.

    Raises:
        LogStalledError, aiokafka.errors.KafkaError: the broker is away.
    """
    tps = [TopicPartition(topic, number) for number in range(partitions)]
    return await _letters(read_log(brokers, tps))


async def _letters(records: AsyncIterable[ConsumerRecord]) -> list[Letter]:
    found: dict[str, tuple[tuple[int, int, int], Letter]] = {}
    async for record in records:
        kind, value = _decoded(record)
        known = found.get(value["id"]) if kind is not None else None
        if kind == "DeadLetter" and known is None:
            place = (record.timestamp, record.partition, record.offset)
            found[value["id"]] = (place, Letter(0, record.partition, cast("DeadLetter", value)))
        elif kind == "DeadLetter" and known is not None:
            # After a restart a part may write a letter again; and bytes that come once more after their letter was
            # handled are open again: a mark hides nothing that nobody has looked at.
            known[1].handled = None
        elif known is not None and known[1].partition == record.partition:
            known[1].handled = cast("DeadLetterHandled", value)
    letters = [letter for _, letter in sorted(found.values(), key=lambda entry: entry[0])]
    for number, letter in enumerate(letters, 1):
        letter.number = number
    return letters


def _decoded(record: ConsumerRecord) -> tuple[str | None, Mapping[str, Any]]:
    try:
        kind, value = decode(record.value or b"")
    except UndecodableError:
        return None, {}
    return (kind, value) if kind in ("DeadLetter", "DeadLetterHandled") else (None, {})
