"""What is done to workers, and to the clocks of workers and collector."""

import asyncio
import random
import signal
import time

from tests.chaos.crashing_worker import POINTS
from tests.chaos.site import Ending, Site

HOUR_SECONDS = 3600
PATIENCE_SECONDS = 40
FEW_DESCRIPTORS = (8, 18)  # a worker at work has 13, and more while it recovers
LITTLE_MEMORY_MIB = (60, 130)  # of address space


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
    await _paused(site, a_worker(site, random_), random_.uniform(33, 40))


async def worker_crashes_at_a_point(site: Site, random_: random.Random) -> None:
    """Of its checkpoint: a run of some length meets all of them."""
    name = a_worker(site, random_)
    site.crash_points[name] = f"{random_.choice(POINTS)}:{random_.randint(1, 4)}"
    site.say(f"  {name} at {site.crash_points[name]}")
    site.send(name, signal.SIGKILL)


async def worker_comes_and_goes(site: Site, random_: random.Random) -> None:
    site.start("worker-3")
    await asyncio.sleep(random_.uniform(4, 10))
    site.wanted.discard("worker-3")
    site.send("worker-3", random_.choice([signal.SIGTERM, signal.SIGKILL]))


async def worker_short_of_descriptors(site: Site, random_: random.Random) -> None:
    await _short_of(site, a_worker(site, random_), f"NOFILE {random_.randint(*FEW_DESCRIPTORS)}")


async def worker_short_of_memory(site: Site, random_: random.Random) -> None:
    await _short_of(site, a_worker(site, random_), f"AS {random_.randint(*LITTLE_MEMORY_MIB) << 20}")


async def _short_of(site: Site, name: str, limit: str) -> None:
    """It works, or ends and says why; with some limits only when its watchdog gives up, which nobody waits for here."""
    site.limits[name] = limit
    site.say(f"  {name} with {limit}")
    site.send(name, signal.SIGKILL)
    await site.ending(lambda which, _: which == name, 5)
    endings = site.endings.setdefault(name, [])
    started, until = len(endings), time.monotonic() + PATIENCE_SECONDS
    while len(endings) == started and time.monotonic() < until:
        if await site.is_ready(name):
            site.say("  it can work")
            site.send(name, signal.SIGTERM)
            return
        await asyncio.sleep(0.5)
    if len(endings) == started:
        site.say("  it does not get on")
        site.send(name, signal.SIGKILL)
    elif not gives_a_reason(endings[started]):
        site.complaints.add(f"with {limit} {name} ended with {endings[started].code} and no reason")


def gives_a_reason(ending: Ending) -> bool:
    """Without memory Python or a library may end it by a signal: the reason is then where it was."""
    if ending.code in {-signal.SIGABRT, -signal.SIGSEGV}:
        return "Fatal Python error: " in ending.said
    return ending.code > 0 and any(word in ending.said for word in ("worker stops:", "ending the process", "Error"))


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
