"""What a checkpoint does to Kafka: confirms outputs, writes the changelog, commits through Faust's consumer."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from faust.types import TP

from streams.engine.checkpoint import ChangelogRecord
from streams.engine.sender import Sender, SendError
from streams.engine.settings import EngineSettings
from streams.engine.transport import ConsumerThread

logger = logging.getLogger(__name__)


class KafkaEffects:
    """The `Effects` of `checkpoint.py`; each with a deadline."""

    def __init__(self, settings: EngineSettings, sender: Sender, thread: Callable[[], ConsumerThread]) -> None:
        self._settings = settings
        self._sender = sender
        self._thread = thread

    async def confirm(self, outputs: Sequence[asyncio.Future[None]]) -> None:
        if outputs:
            await asyncio.gather(*outputs)

    async def is_member(self, generation: int) -> bool:
        return await self._thread().is_member(generation, self._settings.session_timeout_seconds)

    async def write_changelog(self, partition: int, records: Sequence[ChangelogRecord]) -> list[tuple[int, int]]:
        return await self._sender.write(
            self._settings.changelog_topic, partition, [(key, value, None) for key, value in records]
        )

    async def commit(self, offsets: Mapping[int, int], generation: int) -> bool:
        by_tp = {TP(self._settings.events_topic, number): offset for number, offset in offsets.items()}
        try:
            async with asyncio.timeout(self._settings.send_deadline_seconds):
                return await self._thread().commit_of(by_tp, generation)
        except TimeoutError as error:
            raise SendError(
                f"commit of {self._settings.group} was not answered within {self._settings.send_deadline_seconds:g} s"
            ) from error

    def rejoin(self, reason: str) -> None:
        # `is_member` and `commit_of` left the group in a state from which aiokafka rejoins by itself.
        logger.warning("%s: partitions dropped, nothing written; joining again", reason)
