"""Worker processes with the toy fold on both brokers: counts are exact and the set of output ids is the expected one."""

import asyncio
import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from streams.engine.settings import EngineSettings
from streams.engine.watchdog import EXIT_STUCK
from streams.engine.worker import EXIT_UNREACHABLE
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

    async def worker(self, settings: EngineSettings | None = None, **toy: object) -> ToyWorker:
        log = self._directory / f"worker{len(self.workers)}.log"
        worker = await ToyWorker.start(settings or self.settings, log, **toy)
        self.workers.append(worker)
        return worker

    async def folded(self, seconds: float = 60.0) -> None:
        await wait_until_folded(self.settings, PARTITIONS, seconds, [w for w in self.workers if w.running])

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
    await eventually(lambda: "owns partitions" in first.log(), 20)
    await asyncio.sleep(1.5)  # some way into the load
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
async def test_a_worker_that_slept_past_its_session_writes_nothing_stale(site: Site) -> None:
    sleeper = await site.worker()
    await eventually(lambda: "owns partitions [0, 1, 2, 3]" in sleeper.log(), 20)
    loading = asyncio.create_task(site.load.send(30_000, rate=1_000))
    await asyncio.sleep(2.3)  # in the middle of the load, not at a checkpoint
    sleeper.send(signal.SIGSTOP)
    try:
        other = await site.worker()
        await eventually(lambda: "owns partitions [0, 1, 2, 3]" in other.log(), 40)
        await asyncio.sleep(2.0)  # the other one writes rows
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
    await asyncio.sleep(4.0)  # time in which an unbounded worker prefetched all
    grown_kib = _resident_kib(worker.process.pid) - idle_kib
    # 60,000 records as Python objects are more than 40 MB; in flight are some hundreds and one fetch per partition.
    assert grown_kib < 20_000
    worker.send(signal.SIGTERM)
    assert await worker.wait() == 0, worker.log()


def _resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


async def test_without_a_broker_it_ends_with_3_and_names_the_address(tmp_path: Path) -> None:
    settings = engine_settings("127.0.0.1:1", "none.", embedded=True)
    worker = await ToyWorker.start(settings, tmp_path / "log")
    try:
        assert await worker.wait(30) == EXIT_UNREACHABLE, worker.log()
        assert "cannot reach a broker at 127.0.0.1:1" in worker.log()
    finally:
        await worker.kill()


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


@pytest.mark.slow
@pytest.mark.kafka
async def test_a_broker_killed_in_the_middle_costs_nothing(prefix: str, tmp_path: Path) -> None:
    require_apache()
    async with ApacheKafka.start() as kafka:
        settings = engine_settings(kafka.bootstrap_servers, prefix, embedded=False)
        await create_topics(settings, PARTITIONS)
        site = Site(settings, tmp_path)
        try:
            worker = await site.worker()
            await site.load.send(5_000)
            await site.folded()
            await site.load.send(5_000)
            kafka.kill()
            await asyncio.sleep(3.0)
            await kafka.boot()
            await site.load.send(5_000)
            try:
                await site.folded(90)
            except AssertionError:  # it ended: then for a reason it names, and the next one goes on
                assert worker.process.returncode == EXIT_STUCK
                assert "worker stops: " in worker.log()
                await site.worker()
                await site.folded(90)
            await site.check()
        finally:
            await site.close()
