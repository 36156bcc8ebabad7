"""Disks that are full."""

import asyncio
import random
import time
from collections.abc import Callable

from tests.chaos.site import Site

PATIENCE_SECONDS = 20
JOINED_SECONDS = 90  # until workers have their partitions; a session is 30 s


async def broker_disk_full(site: Site, random_: random.Random) -> None:
    """Kafka halts when it cannot write; who looks after it makes room and boots it again.

    And once more where no worker gets into its group: a coordinator of Kafka may come back out of step with its own log.
    """
    site.kafka_disk.fill()
    try:
        if not await _soon(lambda: site.kafka.has_ended):
            site.say("  Kafka goes on")
        await asyncio.sleep(random_.uniform(0, 5))
    finally:
        site.kafka_disk.free()
    site.kafka.kill()
    await site.kafka.boot()
    if not await _workers_join(site):
        site.say("  no worker gets into its group: Kafka is started once more, as docs/runbook.md says")
        await site.kafka.stop()
        await site.kafka.boot()


async def _workers_join(site: Site) -> bool:
    until = time.monotonic() + JOINED_SECONDS
    while time.monotonic() < until:
        workers = [name for name in site.wanted if name.startswith("worker")]
        if any([await site.is_ready(name) for name in workers]):
            return True
        await asyncio.sleep(1)
    return False


async def spool_disk_full(site: Site, random_: random.Random) -> None:
    """While Kafka is away, too: the collector has nowhere to put a record, and says so."""
    before = site.told_to_wait
    site.spool_disk.fill()
    site.kafka.pause()
    try:
        if not await _soon(lambda: site.told_to_wait > before):
            site.complaints.add("neither Kafka nor the spool took records, and no request got 503")
        await asyncio.sleep(random_.uniform(0, 4))
        site.spool_disk.free()
        await asyncio.sleep(random_.uniform(0, 4))
    finally:
        site.spool_disk.free()
        site.kafka.resume()


async def _soon(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > until:
            return False
        await asyncio.sleep(0.2)
    return True
