"""A sink that nothing comes to any more ends and says so; one that only has nothing to do stays."""

import asyncio
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.errors import KafkaError

from sinks.base import RetryLater
from streams.delivery import runner, watch
from streams.delivery.delivery import SinkStatus
from streams.delivery.runner import SinkRun, run_sink
from streams.delivery.watch import LOOK_SECONDS, SinkStandsStillError, Standstill
from tests.brokers import Broker
from tests.eventually import eventually
from tests.sinks.memory import CountedMetrics, MemorySink
from tests.sinks.records import MARCH_2
from tests.streams.delivery.fresh_run import fresh_run
from tests.streams.delivery.test_runner import moves, running, send

SHORT_SECONDS = 1.5


@pytest.fixture
async def run(broker: Broker, prefix: str) -> SinkRun:
    return await fresh_run("memory", broker, prefix, partitions=2)


@pytest.fixture
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.1)


def be_impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """To join takes longer than this."""
    monkeypatch.setattr(watch, "STANDSTILL_SECONDS", SHORT_SECONDS)


@pytest.mark.parametrize(
    ("looks", "seconds"),
    [
        ([("a", True, 5.0)], 0.0),
        ([("a", True, 5.0), ("a", True, 5.0), ("a", True, 5.0)], 10.0),
        ([("a", True, 5.0), ("a", True, 5.0), ("b", True, 5.0)], 0.0),
        ([("a", True, 5.0), ("a", True, 5.0), ("a", False, 5.0)], 0.0),
        ([("a", False, 5.0), ("a", True, 5.0)], 5.0),
        # The process was stopped for an hour: it gets its chance first.
        ([("a", True, 5.0), ("a", True, 3600.0)], 2 * LOOK_SECONDS),
    ],
)
def test_a_standstill_grows_while_nothing_changes(looks: list[tuple[str, bool, float]], seconds: float) -> None:
    standstill = Standstill()
    for sign, waits, elapsed in looks:
        standstill.look(sign, waits=waits, elapsed_seconds=elapsed)
    assert standstill.seconds == seconds


@pytest.mark.usefixtures("looks_often")
async def test_a_sink_whose_fetches_have_failed_for_good_ends_and_loses_nothing(
    run: SinkRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed, consumers, make = asyncio.Event(), [], runner._consumer

    async def without_memory(*_: Any) -> bool:
        failed.set()
        raise MemoryError

    def kept(run: SinkRun) -> Any:
        consumers.append(make(run))
        return consumers[-1]

    monkeypatch.setattr(runner, "_consumer", kept)
    sink = MemorySink()
    await send(run, moves(1))
    task = asyncio.create_task(
        run_sink(run, sink, metrics=CountedMetrics(), now_ms=lambda: MARCH_2, stop=asyncio.Event())
    )
    await eventually(lambda: sink.effects == ["opened", "delivered 0"], 30)
    with monkeypatch.context() as patch:
        be_impatient(patch)
        patch.setattr(Fetcher, "_proc_fetch_request", without_memory)
        await send(run, moves(2))  # the fetch that is open already may get it
        await failed.wait()
        await send(run, moves(3))
        with pytest.raises(SinkStandsStillError, match=r"sink memory stops: no fetch was answered for \d s"):
            async with asyncio.timeout(30):
                await task
    await consumers[0]._client.close()  # the client does not get so far; in a process of its own it does not matter
    assert sink.closed
    assert "delivered 2" not in sink.effects

    successor = MemorySink()
    async with running(run, successor):
        await eventually(lambda: "delivered 2" in successor.effects, 30)
    delivered = [effect for effect in [*sink.effects, *successor.effects] if effect != "opened"]
    assert delivered == ["delivered 0", "delivered 1", "delivered 2"]


@pytest.mark.usefixtures("looks_often")
async def test_a_sink_that_its_group_gives_nothing_ends(run: SinkRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AIOKafkaConsumer, "subscribe", lambda *_, **__: None)
    monkeypatch.setattr(AIOKafkaConsumer, "getmany", lambda *_, **__: asyncio.sleep(0.1, {}))
    be_impatient(monkeypatch)
    with pytest.raises(SinkStandsStillError, match=r"sink memory stops: the group gave it no partitions for \d s"):
        async with asyncio.timeout(30):
            await run_sink(run, MemorySink(), metrics=CountedMetrics(), now_ms=lambda: MARCH_2, stop=asyncio.Event())


@pytest.mark.usefixtures("looks_often")
async def test_a_sink_without_records_or_with_a_destination_that_is_away_stays(
    run: SinkRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink, status = MemorySink(), SinkStatus()
    time = asyncio.get_running_loop().time
    async with running(run, sink, status) as task:
        await eventually(lambda: status.joined, 30)
        be_impatient(monkeypatch)
        idle_until = time() + 3 * SHORT_SECONDS
        await eventually(lambda: task.done() or time() > idle_until)
        sink.troubles = [RetryLater("away", 3 * SHORT_SECONDS)]
        await send(run, moves(1))
        await eventually(lambda: task.done() or sink.effects == ["opened", "delivered 0"], 30)
        assert not task.done()
        assert sink.effects == ["opened", "delivered 0"]


@pytest.mark.parametrize("error", [KafkaError("coordination"), MemoryError()])
async def test_a_client_that_tells_of_its_own_end_ends_the_sink_with_the_reason(
    run: SinkRun, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AIOKafkaConsumer, "getmany", Mock(side_effect=error))
    with pytest.raises(SinkStandsStillError, match=r"sink memory stops: it cannot fetch any more: (Kafka|Memory)Error"):
        async with asyncio.timeout(30):
            await run_sink(run, MemorySink(), metrics=CountedMetrics(), now_ms=lambda: MARCH_2, stop=asyncio.Event())


@pytest.mark.parametrize(
    ("client", "method", "what"),
    [(AIOKafkaConsumer, "commit", "a commit"), (AIOKafkaProducer, "send_and_wait", "a dead letter")],
)
async def test_what_is_never_confirmed_ends_the_sink_with_the_reason(
    run: SinkRun, client: type, method: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await send(run, [*moves(1), b"\x00garbage"])
    monkeypatch.setattr(client, method, lambda *_, **__: asyncio.Event().wait())
    monkeypatch.setattr(runner, "STANDSTILL_SECONDS", 0.2)
    with pytest.raises(SinkStandsStillError, match=f"sink memory stops: {what} was not confirmed within"):
        async with asyncio.timeout(30):
            await run_sink(run, MemorySink(), metrics=CountedMetrics(), now_ms=lambda: MARCH_2, stop=asyncio.Event())


async def test_a_partition_that_is_taken_away_while_the_lag_is_asked_for_is_left_out() -> None:
    taken, kept = TopicPartition("scores", 0), TopicPartition("scores", 1)
    consumer = Mock()
    consumer.assignment.side_effect = [{taken, kept}, {taken, kept}, {kept}, {kept}]
    consumer.end_offsets = AsyncMock(return_value={taken: 9, kept: 7})
    consumer.highwater.side_effect = {kept: 7}.__getitem__  # aiokafka's is an AssertionError
    consumer.position = AsyncMock(return_value=4)
    assert await watch._lag(consumer, {}) == 3


async def test_a_stop_does_not_wait_for_a_rebalance(run: SinkRun, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, stop = asyncio.Event(), asyncio.Event()

    async def waits_for_the_group(*_: Any, **__: Any) -> None:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(AIOKafkaConsumer, "getmany", waits_for_the_group)
    task = asyncio.create_task(run_sink(run, MemorySink(), metrics=CountedMetrics(), now_ms=lambda: MARCH_2, stop=stop))
    async with asyncio.timeout(30):
        await asked.wait()
        stop.set()
        await task
