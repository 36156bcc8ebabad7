"""What is done to Kafka, and to the links to it."""

import asyncio
import random

from tests.chaos.site import Site
from tests.flaky_proxy import FlakyProxy

CHUNK_SECONDS = 0.3  # of a slow link


async def broker_killed(site: Site, random_: random.Random) -> None:
    site.kafka.kill()
    await asyncio.sleep(random_.uniform(0, 5))
    await site.kafka.boot()


async def broker_restarted(site: Site, _: random.Random) -> None:
    await site.kafka.stop()
    await site.kafka.boot()


async def broker_paused(site: Site, random_: random.Random) -> None:
    await _broker_paused(site, random_.uniform(2, 20))


async def broker_paused_for_long(site: Site, random_: random.Random) -> None:
    """For longer than the deadline of a send, or so long that sinks, and workers at times, end with a reason."""
    await _broker_paused(site, random_.choice([30, 120]))


async def broker_stutters(site: Site, random_: random.Random) -> None:
    for _ in range(random_.randint(5, 15)):
        await _broker_paused(site, 0.3)
        await asyncio.sleep(0.1)


async def link_slow(site: Site, random_: random.Random) -> None:
    link = _a_link(site, random_)
    link.delay_seconds = CHUNK_SECONDS
    await asyncio.sleep(random_.uniform(8, 20))
    link.delay_seconds = 0.0


async def link_cut(site: Site, random_: random.Random) -> None:
    """Again and again."""
    link = _a_link(site, random_)
    for _ in range(random_.randint(1, 8)):
        link.reset()
        await asyncio.sleep(random_.uniform(0, 1.5))


async def link_half_open(site: Site, random_: random.Random) -> None:
    """Connections stay and new ones are taken, but nothing passes: for less than the deadline of a send (30 s), or longer."""
    link = _a_link(site, random_)
    link.flows.clear()
    await asyncio.sleep(random_.uniform(5, 40))
    link.flows.set()


def _a_link(site: Site, random_: random.Random) -> FlakyProxy:
    name = random_.choice(sorted(site.links))
    site.say(f"  of {name}")
    return site.links[name]


async def _broker_paused(site: Site, seconds: float) -> None:
    site.kafka.pause()
    try:
        await asyncio.sleep(seconds)
    finally:
        site.kafka.resume()
