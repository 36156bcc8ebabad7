import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from schemas.keys import partition_of
from streams.engine.sender import Sender, SendError
from streams.engine.state import Output


class Batch:
    def __init__(self) -> None:
        self.records: list[tuple[bytes, bytes | None, int | None]] = []

    def append(self, *, timestamp: int | None, key: bytes, value: bytes | None) -> object:
        if len(self.records) == 3 or key == b"huge":
            return None
        self.records.append((key, value, timestamp))
        return object()

    def close(self) -> None: ...

    def record_count(self) -> int:
        return len(self.records)


class Producer:
    """Batches hold three records; `answer` decides what becomes of them."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, int, Batch]] = []
        self.error: Exception | None = None
        self.silent = False
        self._next = 100

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> asyncio.Future[Any]:
        self.sent.append((topic, partition, batch))
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self.error is not None:
            answer.set_exception(self.error)
        elif not self.silent:
            answer.set_result(SimpleNamespace(offset=self._next))
        self._next += len(batch.records)
        return answer

    async def partitions_for(self, topic: str) -> set[int]:
        return set() if topic == "missing" else {0, 1, 2, 3}


@asynccontextmanager
async def running(producer: Producer, failures: list[str]) -> AsyncIterator[Sender]:
    sender = Sender(lambda: producer, deadline_seconds=0.2, on_failure=failures.append)
    task = asyncio.create_task(sender.run())
    try:
        yield sender
    finally:
        task.cancel()


async def test_outputs_keep_their_order_and_go_to_the_partition_of_their_key() -> None:
    producer, failures = Producer(), list[str]()
    async with running(producer, failures) as sender:
        first = sender.send([Output("t", b"1a", b"1"), Output("t", b"1b", b"2", 2)])
        second = sender.send([Output("t", b"1a", b"3")], 77)
        await asyncio.gather(first, second)
    of_a = [
        record
        for _, partition, batch in producer.sent
        if partition == partition_of(b"1a", 4)
        for record in batch.records
    ]
    assert [record for record in of_a if record[0] == b"1a"] == [(b"1a", b"1", None), (b"1a", b"3", 77)]
    assert (b"1b", b"2", None) in [
        record for _, partition, batch in producer.sent if partition == 2 for record in batch.records
    ]
    assert failures == []


async def test_a_changelog_write_tells_the_offset_of_each_batch() -> None:
    producer = Producer()
    async with running(producer, []) as sender:
        assert await sender.write("rows", 1, [(b"k%d" % n, b"v", None) for n in range(7)]) == [
            (100, 3),
            (103, 3),
            (106, 1),
        ]
        assert await sender.write("rows", 1, []) == []


@pytest.mark.parametrize("broken", ["error", "silent"])
async def test_outputs_that_are_not_confirmed_fail_once_with_a_reason(broken: str) -> None:
    producer, failures = Producer(), list[str]()
    producer.error = OSError("no leader") if broken == "error" else None
    producer.silent = broken == "silent"
    async with running(producer, failures) as sender:
        with pytest.raises(SendError, match=r"not confirmed within 0\.2 s"):
            await sender.send([Output("t", b"1a", b"1")])
    assert len(failures) == 1


async def test_a_write_that_is_not_confirmed_names_topic_and_partition() -> None:
    producer = Producer()
    producer.silent = True
    async with running(producer, []) as sender:
        with pytest.raises(SendError, match=r"1 records to rows\[3\] were not confirmed within 0.2 s"):
            await sender.write("rows", 3, [(b"k", b"v", None)])


async def test_a_record_that_fits_no_batch_is_an_error_not_a_loss() -> None:
    async with running(Producer(), []) as sender:
        with pytest.raises(SendError, match="does not fit into a batch"):
            await sender.write("rows", 0, [(b"huge", b"v", None)])


async def test_a_missing_topic_is_named_before_the_first_send() -> None:
    async with running(Producer(), []) as sender:
        assert await sender.partition_counts(["t", "t"]) == [4, 4]
        with pytest.raises(SendError, match=r"topic missing cannot be written.*leadstream topics ensure"):
            await sender.partition_counts(["t", "missing"])


async def test_a_full_queue_holds_the_fold_until_there_is_room() -> None:
    producer = Producer()
    sender = Sender(lambda: producer, deadline_seconds=5, on_failure=pytest.fail)
    sender.send([Output("t", b"1a", b"1")] * (Sender.MAX_QUEUED_RECORDS + 1))
    waiting = asyncio.create_task(sender.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    task = asyncio.create_task(sender.run())
    await asyncio.wait_for(waiting, 5)
    task.cancel()
