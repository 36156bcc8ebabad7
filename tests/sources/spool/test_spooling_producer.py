"""To the brokers or to the spool, and in which order."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sources.base import BrokerUnavailableError, OutgoingRecord, RecordRefusedError
from sources.spool import spooling_producer
from sources.spool.spool import Spool, SpoolUnusableError
from sources.spool.spooling_producer import MOST_WAITING, SpoolingProducer
from tests.eventually import eventually
from tests.sources.fakes import CountingMetrics, MemoryProducer

NOW = 1_772_442_000_000
DRAINED = ("leadstream_collector_spool_drained_total",)


class Broker(MemoryProducer):
    """May be away (`send` fails at once), hang (`send` returns when it is let go), or refuse a value for good."""

    def __init__(self) -> None:
        super().__init__()
        self.hangs = asyncio.Event()
        self.hangs.set()
        self.refuses: bytes | None = None
        self.asked = 0

    async def send(self, records: Sequence[OutgoingRecord]) -> None:
        self.asked += 1
        await self.hangs.wait()
        if any(record.value == self.refuses for record in records):
            raise RecordRefusedError("too large for the topic")
        await super().send(records)

    @property
    def values(self) -> list[int]:
        return [int(record.value) for record in self.records]


def record(number: int) -> list[OutgoingRecord]:
    return [OutgoingRecord("events", b"1a", str(number).encode())]


async def taken_by(producer: SpoolingProducer, number: int) -> bool:
    try:
        await producer.send(record(number))
    except SpoolUnusableError:
        return False
    return True


@asynccontextmanager
async def spooling(
    directory: Path, broker: Broker, *, max_bytes: int = 2**20, patience_seconds: float = 0.05
) -> AsyncIterator[tuple[SpoolingProducer, CountingMetrics]]:
    metrics = CountingMetrics()
    spool = Spool(directory, max_bytes, now_ms=lambda: NOW)
    producer = SpoolingProducer(broker, spool, metrics, patience_seconds=patience_seconds)
    await producer.start()
    try:
        yield producer, metrics
    finally:
        await producer.stop()


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooling_producer, "PAUSE_SECONDS", 0.01)


async def test_while_the_brokers_take_records_nothing_is_spooled(tmp_path: Path) -> None:
    broker = Broker()
    async with spooling(tmp_path, broker) as (producer, metrics):
        for number in range(5):
            await producer.send(record(number))
        assert broker.values == [0, 1, 2, 3, 4]
        assert producer.status().bytes == 0
        assert metrics.counts[DRAINED] == 0


async def test_while_they_are_away_records_are_spooled_and_drained_in_order_later(tmp_path: Path) -> None:
    broker = Broker()
    broker.away = True
    async with spooling(tmp_path, broker) as (producer, metrics):
        for number in range(20):
            await producer.send(record(number))
        assert (broker.values, producer.status().records, producer.ready()) == ([], 20, True)
        broker.away = False
        await eventually(lambda: producer.status().records == 0)
        assert broker.values == list(range(20))
        assert metrics.counts[DRAINED] == 20
        await producer.send(record(20))
        assert broker.values == list(range(21))
        assert producer.status().bytes == 0


async def test_the_first_request_waits_for_its_patience_and_the_next_ones_do_not(tmp_path: Path) -> None:
    broker = Broker()
    broker.hangs.clear()
    async with spooling(tmp_path, broker) as (producer, _):
        await producer.send(record(0))
        asked = broker.asked
        await asyncio.gather(*(producer.send(record(number)) for number in range(1, 50)))
        assert broker.asked <= asked + 1  # the drain
        assert producer.status().records == 50
        broker.hangs.set()
        await eventually(lambda: producer.status().records == 0)
        assert broker.values[-50:] == list(range(50))


async def test_when_many_wait_for_the_brokers_the_next_ones_do_not(tmp_path: Path) -> None:
    broker = Broker()
    broker.hangs.clear()
    async with spooling(tmp_path, broker, patience_seconds=30) as (producer, _):
        waiting = [asyncio.create_task(producer.send(record(number))) for number in range(MOST_WAITING)]
        await eventually(lambda: broker.asked == MOST_WAITING)
        async with asyncio.timeout(5):
            await asyncio.gather(*(producer.send(record(1_000 + number)) for number in range(MOST_WAITING)))
        assert not any(task.done() for task in waiting)
        broker.hangs.set()
        await asyncio.gather(*waiting)
        await eventually(lambda: producer.status().records == 0)
        assert sorted(broker.values) == [*range(MOST_WAITING), *range(1_000, 1_000 + MOST_WAITING)]


async def test_a_steady_stream_of_requests_comes_back_to_the_brokers_in_order(tmp_path: Path) -> None:
    broker = Broker()
    broker.away = True
    async with spooling(tmp_path, broker) as (producer, metrics):
        numbers = iter(range(100_000))
        stop = False

        async def client(lead: bytes) -> list[int]:
            """One request after the other, as one visitor's browser sends them."""
            sent = []
            while not stop:
                number = next(numbers)
                await producer.send([OutgoingRecord("events", lead, str(number).encode())])
                sent.append(number)
                await asyncio.sleep(0)
            return sent

        clients = [asyncio.create_task(client(b"1lead%d" % number)) for number in range(10)]
        await eventually(lambda: producer.status().records > 500)
        broker.away = False
        await eventually(lambda: len(broker.records) - metrics.counts[DRAINED] > 500)  # without the detour again
        assert producer.status().bytes == 0
        stop = True
        for number, sent in enumerate(await asyncio.gather(*clients)):
            lead = b"1lead%d" % number
            assert [int(each.value) for each in broker.records if each.key == lead] == sent


async def test_what_an_earlier_run_has_spooled_is_sent_before_what_comes_now(tmp_path: Path) -> None:
    broker = Broker()
    broker.away = True
    async with spooling(tmp_path, broker) as (producer, _):
        await producer.send(record(0))
        await producer.send(record(1))
    async with spooling(tmp_path, broker) as (producer, _):
        await producer.send(record(2))
        broker.away = False
        await eventually(lambda: producer.status().records == 0)
        assert broker.values == [0, 1, 2]


async def test_a_full_spool_refuses_until_it_is_drained(tmp_path: Path) -> None:
    broker = Broker()
    broker.away = True
    async with spooling(tmp_path, broker, max_bytes=2_000) as (producer, _):
        taken = 0
        while await taken_by(producer, taken):
            taken += 1
        assert producer.status().bytes <= 2_000
        broker.away = False
        await eventually(lambda: producer.status().records == 0)
        assert broker.values == list(range(taken))
        assert producer.ready()


async def test_a_record_that_the_brokers_refuse_is_not_spooled(tmp_path: Path) -> None:
    broker = Broker()
    broker.refuses = b"1"
    async with spooling(tmp_path, broker) as (producer, _):
        with pytest.raises(RecordRefusedError):
            await producer.send(record(1))
        assert producer.status().records == 0
        await producer.send(record(2))
        assert broker.values == [2]


async def test_a_spooled_record_that_the_brokers_refuse_waits_for_somebody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Broker()
    broker.away = True
    async with spooling(tmp_path, broker) as (producer, _):
        await producer.send(record(1))
        broker.away, broker.refuses = False, b"1"
        asked = broker.asked
        await eventually(lambda: broker.asked > asked + 3)
        assert producer.status().records == 1
        broker.refuses = None
        await eventually(lambda: producer.status().records == 0)
        assert broker.values == [1]
    assert caplog.text.count("too large for the topic") == 1


async def test_a_failure_that_nobody_thought_of_stops_the_drain_for_a_moment_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Broker()
    broker.away = True
    failures = 0

    async def without_memory(*_: object) -> None:
        nonlocal failures
        failures += 1
        raise MemoryError

    async with spooling(tmp_path, broker) as (producer, _):
        with monkeypatch.context() as patch:
            patch.setattr(Spool, "next_window", without_memory)
            await producer.send(record(1))
            broker.away = False
            await eventually(lambda: failures > 2)
        await producer.send(record(2))
        await eventually(lambda: producer.status().records == 0)
        assert broker.values == [1, 2]
    assert caplog.text.count("the spool waits until somebody has mended this: MemoryError()") == 1
    assert "Traceback" in caplog.text


async def test_a_stop_in_the_middle_of_the_drain_loses_nothing(tmp_path: Path) -> None:
    broker = Broker()
    broker.away = True
    async with spooling(tmp_path, broker) as (producer, _):
        for number in range(3):
            await producer.send(record(number))
        broker.away = False
        broker.hangs.clear()
        asked = broker.asked
        await eventually(lambda: broker.asked > asked)
    assert broker.values == []
    broker.hangs.set()
    async with spooling(tmp_path, broker) as (producer, _):
        await eventually(lambda: producer.status().records == 0)
        assert broker.values == [0, 1, 2]


async def test_neither_brokers_nor_disk_is_an_error_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = Broker()
    broker.away = True
    async with spooling(tmp_path, broker) as (producer, _):

        def refuse(*_: object) -> int:
            raise OSError(30, "Read-only file system")

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", refuse)
            with pytest.raises(BrokerUnavailableError, match="Read-only file system"):
                await producer.send(record(0))
            assert not producer.ready()
        await producer.send(record(1))
        assert producer.ready()
