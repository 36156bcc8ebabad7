"""What is done to the parts. Each fault heals itself before it returns; the schedule comes from the seed."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable

from redis.asyncio import Redis

from tests.chaos import faults_of_brokers as brokers
from tests.chaos import faults_of_disks as disks
from tests.chaos import faults_of_topics as topics
from tests.chaos import faults_of_want as want
from tests.chaos import faults_of_workers as workers
from tests.chaos.crash import SINK_EFFECTS, points_of
from tests.chaos.outer_world import Mood
from tests.chaos.site import Site

Fault = Callable[[Site, random.Random], Awaitable[None]]


async def collector_killed(site: Site, _: random.Random) -> None:
    site.send("collector", signal.SIGKILL)


async def collector_restarted(site: Site, _: random.Random) -> None:
    site.send("collector", signal.SIGTERM)


async def sink_killed(site: Site, random_: random.Random) -> None:
    site.send(random_.choice(["sink-redis", "sink-webhook"]), signal.SIGKILL)


async def sink_crashes_at_a_point(site: Site, random_: random.Random) -> None:
    """Before or after it has delivered, or committed."""
    name = random_.choice(["sink-redis", "sink-webhook"])
    point = f"{random_.choice(points_of(SINK_EFFECTS))}:{random_.randint(1, 4)}"
    site.next_start[name] = {"CRASH_AT": point}
    site.say(f"  {name} at {point}")
    site.send(name, signal.SIGKILL)


async def store_killed(site: Site, random_: random.Random) -> None:
    site.store.child.kill()
    await asyncio.sleep(random_.uniform(0, 10))
    await site.boot_store()


async def store_paused(site: Site, random_: random.Random) -> None:
    site.store.child.send(signal.SIGSTOP)
    await asyncio.sleep(random_.uniform(2, 8))
    site.store.child.send(signal.SIGCONT)


async def store_emptied(site: Site, _: random.Random) -> None:
    redis = Redis.from_url(site.store.url)
    await redis.flushall()
    await redis.aclose()


async def webhook_behaves_badly(site: Site, random_: random.Random) -> None:
    moods: tuple[Mood, ...] = ("slow", "error", "throttles", "drops after writing", "answers too late")
    site.world.mood = random_.choice(moods)
    site.say(f"  {site.world.mood}")
    await asyncio.sleep(random_.choice([2, 4, 6, 45]))
    site.world.mood = "good"


FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        workers.worker_killed, workers.all_workers_killed, workers.worker_restarted, workers.worker_paused,
        workers.worker_paused_beyond_its_session, workers.worker_crashes_at_a_point, workers.worker_comes_and_goes,
        workers.rebalance_storm, want.short_of_descriptors, want.short_of_memory, workers.clock_steps,
        collector_killed, collector_restarted, sink_killed, sink_crashes_at_a_point,
        brokers.broker_killed, brokers.broker_restarted, brokers.broker_paused, brokers.broker_paused_for_long,
        brokers.broker_stutters,
        brokers.link_slow, brokers.link_cut, brokers.link_half_open,
        disks.broker_disk_full, disks.spool_disk_full,
        topics.garbage_in_the_log, topics.topic_changed, topics.garbage_in_the_rows,
        store_killed, store_paused, store_emptied, webhook_behaves_badly,
    )
}  # fmt: skip
_LONG = {"rebalance_storm", "worker_paused_beyond_its_session", "broker_paused_for_long"}  # a minute and more
LONG_RUN_SECONDS = 600


def faults_of_a_run(seconds: float) -> list[str]:
    """Those that are not told by name; long ones only in long runs."""
    return [name for name in FAULTS if seconds >= LONG_RUN_SECONDS or name not in _LONG]


def left_out(site: Site) -> dict[str, str]:
    """Faults that this machine cannot have, and why."""
    disks_of = {disks.broker_disk_full.__name__: site.kafka_disk, disks.spool_disk_full.__name__: site.spool_disk}
    return {name: disk.why_not for name, disk in disks_of.items() if disk.why_not}
