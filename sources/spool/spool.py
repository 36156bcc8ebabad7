"""Records on disk until the brokers take them. One sync for all requests that wait for one; disk calls run in threads."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

from sources.base import BrokerUnavailableError, OutgoingRecord
from sources.spool.files import SpoolFiles
from sources.spool.ledger import Done, Ledger, Unread
from sources.spool.segment import HEAD_BYTES, body_length, frame, read_frames

log = logging.getLogger(__name__)

GROUP_BYTES: Final = 2**20  # written with one sync
# What is sent at once fits into one batch of the producer for each partition (`MAX_BATCH_BYTES`), which a broker takes whole
# or not at all. So a window that has to be sent again leaves no gap that a later record could have passed through.
WINDOW_BYTES: Final = 100_000


class SpoolUnusableError(BrokerUnavailableError):
    """The spool does not take records: it is full, or its disk does not write."""


class Window(NamedTuple):
    """The oldest records that are not acknowledged; `last`: there are no others, not even waiting for the disk."""

    records: list[OutgoingRecord]
    unread: Unread
    end: int
    last: bool


class SpoolStatus(NamedTuple):
    records: int
    bytes: int
    oldest_ms: int | None  # when the oldest record was spooled, ms UTC


class _Frame(NamedTuple):
    data: bytes
    written: asyncio.Future[None]  # of its request
    last: bool


class Spool:
    def __init__(self, directory: Path, max_bytes: int, *, now_ms: Callable[[], int]) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._now_ms = now_ms
        self._files = SpoolFiles(directory)
        self._ledger = Ledger(max_bytes, next_number=1, set_aside_bytes=0)
        self._oldest_ms: int | None = None
        self._waiting: deque[_Frame] = deque()
        self._waiting_bytes = 0
        self._writing: asyncio.Task[None] | None = None
        self._writer = ThreadPoolExecutor(1, "spool")
        self._refused = False  # the disk, the last time

    async def open(self) -> None:
        """Raises:
        SpoolUnusableError: the directory cannot be used; says which and why.
        """
        try:
            found = await asyncio.to_thread(self._files.open)
        except OSError as error:
            why = "another process uses it" if isinstance(error, BlockingIOError) else error.strerror
            raise SpoolUnusableError(f"the spool in {self._directory} cannot be used: {why}") from error
        self._ledger = Ledger(
            self._max_bytes,
            found.segments,
            next_number=found.next_number,
            set_aside_bytes=found.set_aside_bytes,
        )
        self._oldest_ms = found.oldest_ms
        for segment in found.segments:
            if segment.damaged:
                log.error(
                    "spool: segment %d of %s is damaged after %d bytes", segment.number, self._directory, segment.size
                )

    async def close(self) -> None:
        if self._writing is not None:
            await self._writing
        self._writer.shutdown()
        await asyncio.to_thread(self._files.close)

    @property
    def is_empty(self) -> bool:
        """Is nothing kept, and nothing about to be?"""
        return self._ledger.records == 0 and self._writing is None

    @property
    def takes_records(self) -> bool:
        """Is there room, and did the disk write the last time?"""
        return not self._refused and self._ledger.has_room(self._waiting_bytes)

    def status(self) -> SpoolStatus:
        return SpoolStatus(self._ledger.records, self._ledger.bytes, self._oldest_ms if self._ledger.records else None)

    async def append(self, records: Sequence[OutgoingRecord]) -> None:
        """Return when the disk has all of them.

        Raises:
            SpoolUnusableError: no room, or the disk refused. Some of them may be kept nevertheless.
        """
        if not records:
            return
        now_ms = self._now_ms()
        frames = [frame(record, now_ms) for record in records]
        size = sum(map(len, frames))
        if not self._ledger.has_room(self._waiting_bytes + size):
            raise SpoolUnusableError(f"the spool is full: {self._ledger.bytes:,} of {self._max_bytes:,} bytes")
        if self.is_empty:
            self._oldest_ms = now_ms
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting += [_Frame(data, written, place == len(frames) - 1) for place, data in enumerate(frames)]
        self._waiting_bytes += size
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all(), name="write the spool")
        await asyncio.shield(written)  # a request that gives up does not undo what others wait for

    async def next_window(self) -> Window | None:
        """Raises:
        OSError: it cannot be read.
        """
        unread = self._ledger.unread()
        if unread is None:
            return None
        data = await asyncio.to_thread(self._read_window, unread)
        found = read_frames(data)
        if not found.records:
            await self._set_aside(unread)
            return await self.next_window()
        records = [each.record for each in found.records]
        self._oldest_ms = found.records[0].at_ms
        last = len(records) == self._ledger.records and self._writing is None
        return Window(records, unread, unread.offset + found.end, last)

    async def acknowledged(self, window: Window) -> None:
        """Forget what the brokers have."""
        await self._carry_out(self._ledger.acknowledged(window.unread, window.end, len(window.records)))

    def _read_window(self, unread: Unread) -> bytes:
        size = unread.end - unread.offset
        data = self._files.read(unread.number, unread.offset, min(size, WINDOW_BYTES))
        length = body_length(data)
        if length is not None and HEAD_BYTES + length > len(data):  # a large record is a window by itself
            data = self._files.read(unread.number, unread.offset, HEAD_BYTES + length)
        return data

    async def _set_aside(self, unread: Unread) -> None:
        log.error(
            "spool: segment %d of %s is damaged at byte %d; what follows in it cannot be sent, and the file is kept",
            unread.number, self._directory, unread.offset,
        )  # fmt: skip
        await self._carry_out(self._ledger.damaged(unread, unread.offset))

    async def _carry_out(self, done: Done) -> None:
        for number in done.delete:
            await self._in_writer(self._files.delete, number)
        for number in done.set_aside:
            await self._in_writer(self._files.set_aside, number)

    async def _in_writer(self, call: Callable[..., None], *arguments: Any) -> None:
        """In the one thread that changes the directory."""
        await asyncio.get_running_loop().run_in_executor(self._writer, call, *arguments)

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                await self._write(self._take_group())
        finally:
            self._writing = None

    def _take_group(self) -> list[_Frame]:
        group: list[_Frame] = []
        size = 0
        while self._waiting and size < GROUP_BYTES:
            taken = self._waiting.popleft()
            if taken.written.done():  # an earlier part of its request failed
                self._waiting_bytes -= len(taken.data)
            else:
                group.append(taken)
                size += len(taken.data)
        return group

    async def _write(self, group: list[_Frame]) -> None:
        frames = [each.data for each in group]
        size = sum(map(len, frames))
        place = self._ledger.place()
        failure: str | None = "given up"
        try:
            await self._in_writer(self._files.append, place, frames)
            failure = None
        except OSError as error:
            failure = error.strerror or repr(error)
        finally:  # whatever happened, nobody waits for ever
            self._waiting_bytes -= size
            if failure is not None and not self._refused:
                log.error("the spool in %s cannot be written, clients are told to wait: %s", self._directory, failure)
            self._refused = failure is not None
            if failure is not None:
                self._ledger.failed(place)
            elif not self._ledger.written(place, size, len(frames)):
                failure = "the segment was damaged meanwhile"
            _answer(group, failure)


def _answer(group: list[_Frame], failure: str | None) -> None:
    for each in group:
        if each.written.done():
            continue
        if failure is not None:
            each.written.set_exception(SpoolUnusableError(f"the spool cannot be written: {failure}"))
        elif each.last:
            each.written.set_result(None)
