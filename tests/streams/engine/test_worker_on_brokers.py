"""Worker processes with the toy fold on both brokers: counts are exact and the set of output ids is the expected one."""

import asyncio
import contextlib
import dataclasses
import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.keys import CONTROL_KEY
from streams.engine.settings import EngineSettings
from streams.engine.worker import EXIT_UNREACHABLE
from streams.watchdog import EXIT_STUCK
from tests.brokers import Broker, require_apache
from tests.eventually import eventually
from tests.kafka.apache import ApacheKafka
from tests.streams.engine.cluster import (
    Load,
    ToyWorker,
    committed_offsets,
    create_topics,
    engine_settings,
    read_outcome,
    read_topic,
    wait_until_folded,
)

PARTITIONS = 4


class Site:
    """Topics, load and workers of one test; ends what it started."""

    def __init__(self, settings: EngineSettings, directory: Path) -> None:
        self.settings = settings
        self.load = Load(settings, PARTITIONS)
        self._directory = directory
        self.workers: list[ToyWorker] = []

    async def worker(self, settings: EngineSettings | None = None, **toy: Any) -> ToyWorker:
        log = self._directory / f"worker{len(self.workers)}.log"
        worker = await ToyWorker.start(settings or self.settings, log, **toy)
        self.workers.append(worker)
        return worker

    async def folded(self, seconds: float = 60.0) -> None:
        await wait_until_folded(self.settings, PARTITIONS, seconds, [w for w in self.workers if w.running])

    async def committed(self, events: int) -> None:
        """Until so many events are committed: some way into the load."""

        async def reached() -> bool:
            with contextlib.suppress(KafkaError):  # a coordinator that is just starting
                return sum((await committed_offsets(self.settings, PARTITIONS)).values()) >= events
            return False

        await eventually(reached, 60)

    async def check(self) -> None:
        outcome = await read_outcome(self.settings, PARTITIONS)
        outcome.check(self.load.sent)
        committed = await committed_offsets(self.settings, PARTITIONS)
        assert outcome.parts == committed

    async def close(self) -> None:
        for worker in self.workers:
            await worker.kill()


@pytest.fixture
async def site(broker: Broker, prefix: str, tmp_path: Path) -> AsyncIterator[Site]:
    settings = engine_settings(broker.bootstrap_servers, prefix, embedded=broker.kind == "embedded")
    await create_topics(settings, PARTITIONS)
    site = Site(settings, tmp_path)
    try:
        yield site
    finally:
        await site.close()


async def test_a_stopped_worker_has_committed_everything_and_the_next_one_goes_on(site: Site) -> None:
    first = await site.worker()
    await site.load.send(3_000)
    await site.folded()
    first.send(signal.SIGTERM)
    assert await first.wait() == 0, first.log()
    await site.load.send(3_000)
    second = await site.worker()
    await site.folded()
    second.send(signal.SIGTERM)
    assert await second.wait() == 0, second.log()
    await site.check()


async def test_a_stop_under_load_commits_what_was_folded(site: Site) -> None:
    first = await site.worker()
    loading = asyncio.create_task(site.load.send(12_000, rate=2_000))
    await site.committed(2_000)
    first.send(signal.SIGTERM)
    assert await first.wait() == 0, first.log()
    offsets = await committed_offsets(site.settings, PARTITIONS)
    outcome = await read_outcome(site.settings, PARTITIONS)
    assert outcome.parts == {number: offset for number, offset in offsets.items() if offset > 0}
    await loading
    await site.worker()
    await site.folded()
    await site.check()


async def test_a_second_worker_joins_and_leaves_under_load(site: Site) -> None:
    first = await site.worker()
    await eventually(lambda: "owns partitions [0, 1, 2, 3]" in first.log(), 20)
    loading = asyncio.create_task(site.load.send(30_000, rate=1_500))
    second = await site.worker()
    await eventually(lambda: "owns partitions [" in second.log(), 20)
    await eventually(lambda: first.log().count("owns partitions") >= 2, 20)
    second.send(signal.SIGTERM)
    assert await second.wait() == 0, second.log()
    await loading
    await site.folded()
    assert first.running, first.log()
    await site.check()


@pytest.mark.slow
async def test_after_20_kills_at_random_times_nothing_is_lost_or_counted_twice(site: Site) -> None:
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    print("seed", seed)
    # On Kafka a static id gives the restarted worker its partitions without waiting for the session of the dead one; on
    # the embedded broker a short session does.
    apache = site.settings.idempotence
    takeover = {"instance_id": "only"} if apache else {"session_timeout_seconds": 1.5, "rebalance_timeout_seconds": 1.5}
    settings = engine_settings(
        site.settings.bootstrap_servers,
        site.settings.group.removesuffix("group"),
        embedded=not apache,
        checkpoint_interval_seconds=0.25,
        heartbeat_interval_seconds=0.4,
        **takeover,
    )
    loading = asyncio.create_task(site.load.send(60_000, rate=1_000))
    committed_before, kills_with_progress = 0, 0
    for _ in range(20):
        worker = await site.worker(settings)
        await _owns_partitions(worker)
        assert worker.running, f"seed {seed}: {worker.log()[-3000:]}"
        await asyncio.sleep(chance.uniform(0.0, 1.2))
        await worker.kill()
        committed = sum((await committed_offsets(settings, PARTITIONS)).values())
        kills_with_progress += committed > committed_before
        committed_before = committed
    await loading
    await site.worker(settings)
    await site.folded(90)
    await site.check()
    assert kills_with_progress >= 5, "the kills came before the workers did anything"


async def _owns_partitions(worker: ToyWorker) -> None:
    await eventually(lambda: "owns partitions" in worker.log() or not worker.running, 40)


@pytest.mark.slow
async def test_a_worker_that_slept_past_its_session_costs_nothing(site: Site) -> None:
    sleeper = await site.worker()
    await eventually(lambda: "owns partitions [0, 1, 2, 3]" in sleeper.log(), 20)
    loading = asyncio.create_task(site.load.send(30_000, rate=1_000))
    await site.committed(2_000)
    await asyncio.sleep(0.5)  # between two checkpoints
    sleeper.send(signal.SIGSTOP)
    try:
        other = await site.worker()
        await eventually(lambda: "owns partitions [0, 1, 2, 3]" in other.log(), 40)
        await site.committed(8_000)  # by the other one
    finally:
        sleeper.send(signal.SIGCONT)
    await loading
    await site.folded()
    assert other.running, other.log()
    await site.check()


async def test_a_slow_fold_leaves_the_backlog_at_the_broker(site: Site) -> None:
    await site.load.send(60_000)
    settings = engine_settings(
        site.settings.bootstrap_servers,
        site.settings.group.removesuffix("group"),
        embedded=not site.settings.idempotence,
        batch_records=100,
        buffered_batches=4,
        fetch_max_bytes=65_536,
    )
    worker = await site.worker(settings, fold_seconds=0.001)
    await eventually(lambda: "owns partitions" in worker.log(), 20)
    idle_kib = _resident_kib(worker.process.pid)
    await site.committed(3_000)  # three seconds, in which an unbounded worker prefetched all
    grown_kib = _resident_kib(worker.process.pid) - idle_kib
    # 60,000 records as Python objects are more than 40 MB; in flight are some hundreds and one fetch per partition.
    assert grown_kib < 20_000
    worker.send(signal.SIGTERM)
    assert await worker.wait() == 0, worker.log()


def _resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


async def test_a_broker_that_takes_connections_and_says_nothing_ends_it_with_3_in_time(tmp_path: Path) -> None:
    taken: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: taken.append(writer), "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    settings = dataclasses.replace(engine_settings(address, "none.", embedded=True), send_deadline_seconds=1.0)
    worker = await ToyWorker.start(settings, tmp_path / "log")
    try:
        assert await worker.wait(30) == EXIT_UNREACHABLE, worker.log()
        assert f"cannot reach a broker at {address}: TimeoutError()" in worker.log()
    finally:
        await worker.kill()
        for writer in taken:
            writer.close()
        server.close()
        await server.wait_closed()


async def test_without_a_broker_it_ends_with_3_and_names_the_address(tmp_path: Path) -> None:
    settings = engine_settings("127.0.0.1:1", "none.", embedded=True)
    worker = await ToyWorker.start(settings, tmp_path / "log")
    try:
        assert await worker.wait(30) == EXIT_UNREACHABLE, worker.log()
        assert "cannot reach a broker at 127.0.0.1:1" in worker.log()
    finally:
        await worker.kill()


async def test_without_its_group_it_ends_instead_of_waiting_for_ever(site: Site) -> None:
    """Seen after broker outages: aiokafka's task for the group had ended, and nobody noticed."""
    worker = await site.worker(names_no_broker=True)
    assert await worker.wait(30) == EXIT_STUCK, worker.log()
    assert f"no member of group {site.settings.group} any more: " in worker.log()


async def test_a_missing_output_topic_ends_it_at_the_start(site: Site) -> None:
    if not site.settings.idempotence:
        pytest.skip("the embedded broker makes a missing topic when it is asked for it")
    settings = engine_settings(
        site.settings.bootstrap_servers,
        site.settings.group.removesuffix("group"),
        embedded=not site.settings.idempotence,
        send_deadline_seconds=6.0,
    )
    object.__setattr__(settings, "output_topics", ("never.made",))
    worker = await site.worker(settings)
    assert await worker.wait(30) == EXIT_STUCK, worker.log()
    assert "topic never.made cannot be written" in worker.log()


@pytest.mark.parametrize("seconds", [0.2, 1.2, 3.0])
async def test_a_stop_while_it_starts_is_clean(site: Site, seconds: float) -> None:
    worker = await site.worker()
    await eventually(lambda: "Starting" in worker.log(), 20)
    await asyncio.sleep(seconds)  # before the group, in the join, after it
    worker.send(signal.SIGTERM)
    assert await worker.wait(20) == 0, worker.log()


async def test_a_fold_that_raises_ends_it_and_the_next_one_is_exact(site: Site) -> None:
    broken = await site.worker(fails_at_count=7)
    await eventually(lambda: "owns partitions" in broken.log(), 20)
    await site.load.send(5_000, rate=4_000)
    assert await broken.wait() == EXIT_STUCK, broken.log()
    assert "failed: RuntimeError('a bug in the fold')" in broken.log()
    await site.worker()
    await site.folded()
    await site.check()


async def test_without_memory_it_ends_with_the_reason_although_no_task_has_failed(site: Site) -> None:
    worker = await site.worker(no_memory=True)
    assert await worker.wait() == EXIT_STUCK, worker.log()
    assert "worker stops: no memory: Exception in callback" in worker.log()


async def test_a_blocked_event_loop_is_ended_from_the_watchdog_thread(site: Site) -> None:
    settings = dataclasses.replace(site.settings, stall_seconds=2.0)
    await site.load.send(1)
    worker = await site.worker(settings, fold_seconds=60.0)
    assert await worker.wait() == EXIT_STUCK, worker.log()
    assert "the event loop is blocked" in worker.log()


async def test_a_tick_is_written_when_a_wake_up_has_passed_and_folded_as_a_record(site: Site) -> None:
    await site.worker(wake_after_ms=300)
    await site.load.send(500)
    await site.folded()

    async def ticks() -> list[int]:
        log = await read_topic(site.settings.bootstrap_servers, site.settings.events_topic, PARTITIONS)
        return [sum(record.key == CONTROL_KEY for record in records) for records in log.values()]

    async def one_each() -> bool:
        return all(await ticks())

    await eventually(one_each, 20)
    await site.folded()
    assert max(await ticks()) <= 3, "a folded tick ends the ticking"
    await site.check()


async def test_a_changelog_row_that_cannot_be_read_ends_it_with_key_and_offset(site: Site) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=site.settings.bootstrap_servers)
    await producer.start()
    await producer.send_and_wait(site.settings.changelog_topic, b"garbage", key=b"1lead", partition=2)
    await producer.stop()
    worker = await site.worker()
    assert await worker.wait() == EXIT_STUCK, worker.log()
    assert f"{site.settings.changelog_topic}[2] offset 0 key b'1lead' cannot be read" in worker.log()


async def test_a_changelog_that_lost_writes_ends_it_before_it_folds(site: Site) -> None:
    first = await site.worker()
    await site.load.send(500)
    await site.folded()
    first.send(signal.SIGTERM)
    assert await first.wait() == 0
    other = dataclasses.replace(site.settings, changelog_topic=f"{site.settings.changelog_topic}.empty")
    await create_topics(
        dataclasses.replace(other, events_topic=f"{other.events_topic}.unused", output_topics=()), PARTITIONS
    )
    worker = await site.worker(other)
    assert await worker.wait() == EXIT_STUCK, worker.log()
    assert "the changelog has no `part` record: it lost writes" in worker.log()


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.parametrize(("fault", "outage_seconds"), [("kill", 2.0), ("kill", 20.0), ("pause", 15.0)])
async def test_a_broker_away_under_load_costs_nothing(
    prefix: str, tmp_path: Path, fault: str, outage_seconds: float
) -> None:
    """It goes on, or ends with a reason before the deadline of its sends and the next worker goes on."""
    require_apache()
    async with ApacheKafka.start() as kafka:
        settings = engine_settings(kafka.bootstrap_servers, prefix, embedded=False, send_deadline_seconds=8.0)
        await create_topics(settings, PARTITIONS)
        site = Site(settings, tmp_path)
        try:
            worker = await site.worker()
            await eventually(lambda: "owns partitions" in worker.log(), 30)
            loading = asyncio.create_task(site.load.send(10_000, rate=2_000))
            await site.committed(2_000)
            if fault == "kill":
                kafka.kill()
                await asyncio.sleep(outage_seconds)
                await kafka.boot()
            else:
                kafka.pause()
                await asyncio.sleep(outage_seconds)
                kafka.resume()
            await loading
            if worker.running:
                with contextlib.suppress(AssertionError):  # it ended after all
                    await site.folded()
            if not worker.running:
                assert worker.process.returncode == EXIT_STUCK, worker.log()
                assert "worker stops: " in worker.log()
                await site.worker()
                await site.folded()
            await site.check()
        finally:
            await site.close()
