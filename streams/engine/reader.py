"""Reads whole partitions with a plain aiokafka consumer, for recovery.

The end of a partition is the high-watermark of a fetch: the embedded broker's ListOffsets(latest) is wrong after a
batch of several records.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from schemas.records import LogRecord
from streams.engine.recovery import LogBounds, RecoveryError
from streams.engine.settings import EngineSettings
from streams.kafka.log_epochs import epoch_of

logger = logging.getLogger(__name__)


class LogReader:
    """A `RecoverySource` over Kafka. A connection lives for one call."""

    MAX_RECORDS = 5_000

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._changelog_ends: dict[int, int] = {}

    async def changelog(self, partitions: Sequence[int]) -> AsyncIterator[tuple[int, Sequence[LogRecord]]]:
        tps = {TopicPartition(self._settings.changelog_topic, number) for number in partitions}
        async with self._consumer(tps, max_partition_fetch_bytes=4 * 1_048_576) as consumer:
            for tp, offset in (await consumer.beginning_offsets(list(tps))).items():
                consumer.seek(tp, offset)
            unread = set(tps)
            silent_since = asyncio.get_running_loop().time()
            while unread:
                fetched = await consumer.getmany(*unread, timeout_ms=50, max_records=self.MAX_RECORDS)
                for tp, records in fetched.items():
                    yield tp.partition, records
                for tp in list(unread):
                    position, highwater = await consumer.position(tp), consumer.highwater(tp)
                    if highwater is not None and position >= highwater:
                        self._changelog_ends[tp.partition] = position
                        consumer.pause(tp)
                        unread.discard(tp)
                        fetched[tp] = []
                silent_since = self._still_alive(silent_since, progress=bool(fetched), tps=unread)

    def changelog_end(self, partition: int) -> int:
        return self._changelog_ends[partition]

    async def log_bounds(self, partitions: Sequence[int]) -> dict[int, LogBounds]:
        while True:
            try:
                return await self._log_bounds(partitions)
            except OffsetOutOfRangeError:  # retention came between the look at the beginning and the fetch from there
                logger.info("the log begins elsewhere by now; looking again")

    async def _log_bounds(self, partitions: Sequence[int]) -> dict[int, LogBounds]:
        tps = {TopicPartition(self._settings.events_topic, number) for number in partitions}
        async with self._consumer(tps, max_partition_fetch_bytes=16_384) as consumer:
            begins = await consumer.beginning_offsets(list(tps))
            for tp, offset in begins.items():
                consumer.seek(tp, offset)
            epochs = {tp: 0 for tp, offset in begins.items() if offset > 0}  # their first record is gone
            since = asyncio.get_running_loop().time()
            while unknown := {tp for tp in tps if consumer.highwater(tp) is None or tp not in epochs}:
                for tp, records in (await consumer.getmany(*unknown, timeout_ms=100)).items():
                    epochs.setdefault(tp, epoch_of(records[0]) if records[0].offset == 0 else 0)
                epochs |= {tp: 0 for tp in unknown if consumer.highwater(tp) == 0}
                self._still_alive(since, progress=False, tps=unknown)
            return {tp.partition: LogBounds(begins[tp], consumer.highwater(tp), epochs[tp]) for tp in tps}

    def _still_alive(self, silent_since: float, *, progress: bool, tps: set[Any]) -> float:
        now = asyncio.get_running_loop().time()
        if progress:
            return now
        if now - silent_since > self._settings.stall_seconds:
            names = ", ".join(f"{tp.topic}[{tp.partition}]" for tp in sorted(tps))
            raise RecoveryError(f"no answer about {names} for {self._settings.stall_seconds:g} s")
        return silent_since

    @asynccontextmanager
    async def _consumer(self, tps: set[Any], *, max_partition_fetch_bytes: int) -> AsyncIterator[AIOKafkaConsumer]:
        """An assigned consumer. It is stopped also where its start was cut short, as by a rebalance."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.bootstrap_servers,
            client_id=f"{self._settings.group}-recovery",
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=50,
            max_partition_fetch_bytes=max_partition_fetch_bytes,
            **self._settings.security.client_arguments(),
        )
        consumer.assign(list(tps))
        try:
            await consumer.start()
            yield consumer
        finally:
            await consumer.stop()
