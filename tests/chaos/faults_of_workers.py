"""What is done to workers, and to the clocks of workers and collector."""

import asyncio
import random
import signal

from tests.chaos.crash import WORKER_EFFECTS, points_of
from tests.chaos.site import Site

HOUR_SECONDS = 3600


def a_worker(site: Site, random_: random.Random) -> str:
    return random_.choice(sorted(name for name in site.wanted if name.startswith("worker")))


async def worker_killed(site: Site, random_: random.Random) -> None:
    site.send(a_worker(site, random_), signal.SIGKILL)


async def all_workers_killed(site: Site, _: random.Random) -> None:
    for name in sorted(site.wanted):
        if name.startswith("worker"):
            site.send(name, signal.SIGKILL)


async def worker_restarted(site: Site, random_: random.Random) -> None:
    site.send(a_worker(site, random_), signal.SIGTERM)


async def worker_paused(site: Site, random_: random.Random) -> None:
    await _paused(site, a_worker(site, random_), random_.uniform(1, 8))


async def worker_paused_beyond_its_session(site: Site, random_: random.Random) -> None:
    await _paused(site, a_worker(site, random_), random_.choice([33.0, 40.0, 90.0]))


async def worker_crashes_at_a_point(site: Site, random_: random.Random) -> None:
    """Of its checkpoint: a run of some length meets all of them."""
    name = a_worker(site, random_)
    point = f"{random_.choice(points_of(WORKER_EFFECTS))}:{random_.randint(1, 4)}"
    site.next_start[name] = {"CRASH_AT": point}
    site.say(f"  {name} at {point}")
    site.send(name, signal.SIGKILL)


async def worker_comes_and_goes(site: Site, random_: random.Random) -> None:
    site.start("worker-3")
    await asyncio.sleep(random_.uniform(4, 10))
    site.wanted.discard("worker-3")
    site.send("worker-3", random_.choice([signal.SIGTERM, signal.SIGKILL]))


async def rebalance_storm(site: Site, random_: random.Random) -> None:
    """A third worker comes and goes every 10 s."""
    for _ in range(6):
        site.start("worker-3")
        await asyncio.sleep(random_.uniform(4, 6))
        site.wanted.discard("worker-3")
        site.send("worker-3", random_.choice([signal.SIGTERM, signal.SIGKILL]))
        await asyncio.sleep(5)


async def clock_steps(site: Site, random_: random.Random) -> None:
    """Of a worker or of the collector, by an hour and back; sometimes it is started with the wrong time."""
    name, ahead = random_.choice(["collector", "worker-1", "worker-2"]), random_.choice([-HOUR_SECONDS, HOUR_SECONDS])
    site.say(f"  of {name} by {ahead} s")
    site.step_clock(name, ahead)
    if random_.random() < 1 / 3:
        site.send(name, random_.choice([signal.SIGTERM, signal.SIGKILL]))
    await asyncio.sleep(random_.uniform(4, 12))
    site.step_clock(name, 0)


async def _paused(site: Site, name: str, seconds: float) -> None:
    site.send(name, signal.SIGSTOP)
    await asyncio.sleep(seconds)
    site.send(name, signal.SIGCONT)
