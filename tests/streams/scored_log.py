"""A log and what a worker makes of it: a small loop over `PartitionFold` that writes every topic as the worker would."""

import itertools
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import resources
from random import Random
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition

from processors.fold_partition import PartitionFold
from processors.model import event_from_fields
from processors.model_log import model_activated
from processors.outbox import Sent
from schemas.codec import encode
from schemas.keys import CONTROL_KEY, partition_of
from schemas.rows import pack_row, read_header, unpack_row
from streams.kafka.brokers import Brokers
from streams.kafka.log_reader import read_log
from streams.kafka.provision import ensure_topics
from streams.kafka.topics import Topics
from streams.model_records import first_models
from tests.brokers import Broker
from tests.logs import producer_of

START_MS = 1_772_442_000_000  # Monday 2026-03-02 09:00 UTC
MINUTE_MS, DAY_MS = 60_000, 86_400_000
SITE = resources.files("processors").joinpath("models", "site.yaml").read_text("utf-8")
BATCH = 7


@dataclass
class ScoredLog:
    brokers: Brokers
    topics: Topics
    partitions: int
    producer: AIOKafkaProducer
    now: int
    _folds: dict[int, PartitionFold] = field(default_factory=dict)
    _folded_to: dict[int, int] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @classmethod
    @asynccontextmanager
    async def start(
        cls, broker: Broker, topics: Topics, *, partitions: int = 2, model: str | None = SITE
    ) -> AsyncIterator["ScoredLog"]:
        """Topics with their epochs, and the model activated in each partition."""
        await ensure_topics(broker.at, topics, partitions=partitions)
        # Apache Kafka stamps records by its own clock, and acts of long ago would be late.
        now = START_MS if broker.kind == "embedded" else round(time.time() * 1000) - DAY_MS
        async with producer_of(broker.at) as producer:
            log = cls(broker.at, topics, partitions, producer, now)
            if model is not None:
                await log.activate(model)
            yield log

    # --- who writes to the log ---

    async def append(self, key: bytes | None, value: bytes | None, partition: int | None = None) -> int:
        """Write a record a minute after the one before; its offset."""
        self.now += MINUTE_MS
        number = partition_of(key or b"", self.partitions) if partition is None else partition
        metadata = await self.producer.send_and_wait(
            self.topics.events, value, key=key, partition=number, timestamp_ms=self.now
        )
        offset: int = metadata.offset
        return offset

    async def activate(self, model: str, n: int = 1) -> None:
        for number in range(self.partitions):
            await self.append(CONTROL_KEY, encode("ModelActivated", model_activated(model, n)), number)

    async def act(self, key: bytes, *, id_: str = "", **fields: Any) -> int:
        event = event_from_fields({"event": "page_view"} | fields, self.now + MINUTE_MS)
        event["event_id"] = id_ or f"e{next(self._numbers)}"
        return await self.append(key, encode("TrackedEvent", event))

    async def tick(self, days: float = 0) -> None:
        """Let time pass, and say so in every partition."""
        self.now += round(days * DAY_MS)
        for number in range(self.partitions):
            await self.append(CONTROL_KEY, encode("Tick", {}), number)

    async def traffic(self, leads: Sequence[bytes]) -> None:
        """Some visits of each lead: pages, prices, a download, a repeat, a bot, and records that cannot be used."""
        for lead in leads:
            for url in ("https://a.example/blog/x", "https://a.example/pricing", "https://a.example/contact"):
                await self.act(lead, url=url)
            await self.act(lead, event="download", url="https://a.example/files/guide.pdf", id_=f"{lead.decode()}-d")
            await self.act(lead, event="download", url="https://a.example/files/guide.pdf", id_=f"{lead.decode()}-d")
        await self.append(leads[0], b"{broken")
        await self.append(b"not-a-lead", encode("Tick", {})[:5])

    # --- the worker ---

    def fold_of(self, number: int) -> PartitionFold:
        return self._folds[number]

    async def resume(self) -> None:
        """Take over from another worker: restore what the changelog holds."""
        models = await first_models(self.brokers, self.topics, self.partitions)
        for number in range(self.partitions):
            fold = PartitionFold(self.topics.events, number, self.partitions, models.get(number))
            for record in await self.records(self.topics.rows, number):
                fold.restore(record.key, record.value)
            fold.restored()
            self._folds[number], self._folded_to[number] = fold, fold.next_offset or 0

    async def work(self, stop: dict[int, int] | None = None) -> None:
        """Fold what is not folded yet (up to `stop`, per partition), in batches, with a checkpoint after each."""
        models = await first_models(self.brokers, self.topics, self.partitions)
        for number in range(self.partitions):
            fold = self._folds.setdefault(
                number, PartitionFold(self.topics.events, number, self.partitions, models.get(number))
            )
            records = await self.records(self.topics.events, number, self._folded_to.get(number, 0))
            if stop is not None and number in stop:
                records = [record for record in records if record.offset < stop[number]]
            for first in range(0, len(records), BATCH):
                batch = records[first : first + BATCH]
                await self.send([*fold.fold(batch), *fold.take_snapshots()], number)
                await self.checkpoint(number, batch[-1].offset + 1)

    async def checkpoint(self, number: int, next_offset: int, *, part: bool = True) -> None:
        """`part` False: the worker dies between the rows and the partition's own row."""
        rows = self._folds[number].take_checkpoint(next_offset)
        for key, value in rows if part else rows[:-1]:
            await self.write_row(number, key, value)
        self._folded_to[number] = next_offset

    async def die_somewhere(self, random: Random) -> None:
        """A worker that sends what comes of some records of a partition, and dies while it writes their rows."""
        number = random.randrange(self.partitions)
        fold = self.fold_of(number)
        batch = await self.records(self.topics.events, number, fold.next_offset or 0)
        batch = batch[: random.randrange(1, len(batch) + 1)]
        await self.send(fold.fold(batch))
        rows = fold.take_checkpoint(batch[-1].offset + 1)
        for key, value in rows[: random.randrange(len(rows))]:
            await self.write_row(number, key, value)

    async def change_row(self, key: bytes, **changes: Any) -> None:
        """Write the newest row of a lead once more, with other fields and the same version, as nobody may."""
        data = (await self.rows_of(key))[-1]
        header = read_header(data)
        row = msgspec.structs.replace(unpack_row(data), **changes)
        value = pack_row(header.version, header.wake_at, header.model_stamp, row)
        await self.write_row(partition_of(key, self.partitions), key, value)

    async def send(self, sent: Iterable[Sent], number: int | None = None) -> None:
        """As `ScoringState` does: to the number of the partition that says it; without one, to that of the lead."""
        topic_of = {
            "StageTransition": self.topics.transitions,
            "DeadLetter": self.topics.dead_letters,
            "LeadSnapshot": self.topics.scores,
            "ModelActivated": self.topics.scores,
        }
        for one in sent:
            home = partition_of(one.key, self.partitions) if number is None else number
            await self.producer.send_and_wait(topic_of[one.kind], one.value, key=one.key, partition=home)

    async def write_row(self, number: int, key: bytes, value: bytes | None) -> None:
        await self.producer.send_and_wait(self.topics.rows, value, key=key, partition=number)

    # --- what stands on a topic ---

    async def records(self, topic: str, number: int, start: int = 0) -> list[ConsumerRecord]:
        tp = TopicPartition(topic, number)
        return [record async for record in read_log(self.brokers, [tp], start={tp: start})]

    async def rows_of(self, key: bytes) -> list[bytes]:
        """Every state of the lead's row that was written."""
        records = await self.records(self.topics.rows, partition_of(key, self.partitions))
        return [record.value for record in records if record.key == key and record.value is not None]
