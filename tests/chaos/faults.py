"""What is done to the parts. Each fault heals itself before it returns; the schedule comes from the seed."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable

from aiokafka import AIOKafkaProducer
from redis.asyncio import Redis

from schemas.codec import PREFIXES
from tests.chaos.crashing_worker import POINTS
from tests.chaos.outer_world import Mood
from tests.chaos.site import Site

Fault = Callable[[Site, random.Random], Awaitable[None]]


def _a_worker(site: Site, random_: random.Random) -> str:
    return random_.choice(sorted(name for name in site.wanted if name.startswith("worker")))


async def worker_killed(site: Site, random_: random.Random) -> None:
    site.send(_a_worker(site, random_), signal.SIGKILL)


async def all_workers_killed(site: Site, _: random.Random) -> None:
    for name in sorted(site.wanted):
        if name.startswith("worker"):
            site.send(name, signal.SIGKILL)


async def worker_restarted(site: Site, random_: random.Random) -> None:
    site.send(_a_worker(site, random_), signal.SIGTERM)


async def worker_paused(site: Site, random_: random.Random) -> None:
    await _paused(site, _a_worker(site, random_), random_.uniform(1, 8))


async def worker_paused_beyond_its_session(site: Site, random_: random.Random) -> None:
    await _paused(site, _a_worker(site, random_), random_.uniform(33, 40))


async def worker_crashes_at_a_point(site: Site, random_: random.Random) -> None:
    """Of its checkpoint: a run of some length meets all of them."""
    name = _a_worker(site, random_)
    site.crash_points[name] = f"{random_.choice(POINTS)}:{random_.randint(1, 4)}"
    site.say(f"  {name} at {site.crash_points[name]}")
    site.send(name, signal.SIGKILL)


async def worker_comes_and_goes(site: Site, random_: random.Random) -> None:
    site.start("worker-3")
    await asyncio.sleep(random_.uniform(4, 10))
    site.wanted.discard("worker-3")
    site.send("worker-3", random_.choice([signal.SIGTERM, signal.SIGKILL]))


async def collector_killed(site: Site, _: random.Random) -> None:
    site.send("collector", signal.SIGKILL)


async def collector_restarted(site: Site, _: random.Random) -> None:
    site.send("collector", signal.SIGTERM)


async def sink_killed(site: Site, random_: random.Random) -> None:
    site.send(random_.choice(["sink-redis", "sink-webhook"]), signal.SIGKILL)


async def broker_killed(site: Site, random_: random.Random) -> None:
    site.kafka.kill()
    await asyncio.sleep(random_.uniform(0, 5))
    await site.kafka.boot()


async def broker_restarted(site: Site, _: random.Random) -> None:
    await site.kafka.stop()
    await site.kafka.boot()


async def broker_paused(site: Site, random_: random.Random) -> None:
    await _broker_paused(site, random_.uniform(2, 20))


async def broker_stutters(site: Site, random_: random.Random) -> None:
    for _ in range(random_.randint(5, 15)):
        await _broker_paused(site, 0.3)
        await asyncio.sleep(0.1)


async def store_paused(site: Site, random_: random.Random) -> None:
    site.store.child.send(signal.SIGSTOP)
    await asyncio.sleep(random_.uniform(2, 8))
    site.store.child.send(signal.SIGCONT)


async def store_emptied(site: Site, _: random.Random) -> None:
    redis = Redis.from_url(site.store.url)
    await redis.flushall()
    await redis.aclose()


async def webhook_behaves_badly(site: Site, random_: random.Random) -> None:
    moods: tuple[Mood, ...] = ("slow", "error", "throttles", "drops after writing")
    site.world.mood = random_.choice(moods)
    await asyncio.sleep(random_.uniform(2, 6))
    site.world.mood = "good"


async def garbage_in_the_log(site: Site, random_: random.Random) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=site.kafka.bootstrap_servers)
    await producer.start()
    try:
        for value in (b"", b"{broken", b"\xc3\x01unknown!", PREFIXES["TrackedEvent"] + b"\x04ab", None):
            key = random_.choice([b"1visitor-1", b"9nobody", None]) if value is not None else b"1visitor-1"
            await producer.send_and_wait(site.parts.topics.events, value, key=key, partition=random_.randrange(4))
    finally:
        await producer.stop()


async def _broker_paused(site: Site, seconds: float) -> None:
    site.kafka.pause()
    try:
        await asyncio.sleep(seconds)
    finally:
        site.kafka.resume()


async def _paused(site: Site, name: str, seconds: float) -> None:
    site.send(name, signal.SIGSTOP)
    await asyncio.sleep(seconds)
    site.send(name, signal.SIGCONT)


FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        worker_killed, all_workers_killed, worker_restarted, worker_paused, worker_paused_beyond_its_session,
        worker_crashes_at_a_point, worker_comes_and_goes, collector_killed, collector_restarted, sink_killed, broker_killed,
        broker_restarted, broker_paused, broker_stutters, store_paused, store_emptied, webhook_behaves_badly, garbage_in_the_log,
    )
}  # fmt: skip
