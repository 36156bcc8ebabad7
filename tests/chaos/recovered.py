"""When nothing of a fault is left: the spool is empty, and worker and sinks have committed all that came before."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from statistics import median

import aiohttp
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from streams.kafka.brokers import Brokers
from streams.kafka.groups import committed_of
from streams.kafka.log_reader import log_end
from streams.kafka.provision import admin_client
from tests.chaos.site import Site
from tests.e2e.deployment import PARTITIONS

ASK_EVERY_SECONDS = 0.3
ASK_SECONDS = 5.0  # no answer in so long is none
SPOOLED = re.compile(r"^leadstream_collector_spool_records (\S+)$", re.MULTILINE)


async def until_caught_up(site: Site) -> None:
    """Return when all that was accepted before the call is folded, and what came of it delivered."""
    topics = site.parts.topics
    await _until(lambda: _spool_is_empty(site))
    await _until_committed(site, {topics.worker_group: [topics.events]})
    both = [topics.transitions, topics.scores]
    await _until_committed(site, {topics.sink_group("redis"): both, topics.sink_group("webhook"): both[:1]})


async def _until_committed(site: Site, reads: Mapping[str, Sequence[str]]) -> None:
    """Each group up to where the topics that it reads end now."""
    brokers = Brokers(site.kafka.bootstrap_servers)
    ends: dict[TopicPartition, int] = {}

    async def committed() -> bool:
        if not ends:
            names = {name for topics in reads.values() for name in topics}
            ends.update(await log_end(brokers, [TopicPartition(name, n) for name in names for n in range(PARTITIONS)]))
        async with admin_client(brokers) as admin:
            for group, topics in reads.items():
                wanted = [tp for tp in ends if tp.topic in topics]
                offsets = await committed_of(admin, group, wanted)
                if any(offsets.get(tp, 0) < ends[tp] for tp in wanted):
                    return False
        return True

    await _until(committed)


async def _spool_is_empty(site: Site) -> bool:
    url = f"{site.parts.url}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        found = SPOOLED.search(await response.text())
        return found is not None and float(found[1]) == 0


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    while True:
        with suppress(KafkaError, aiohttp.ClientError, OSError, TimeoutError):
            async with asyncio.timeout(ASK_SECONDS):
                if await condition():
                    return
        await asyncio.sleep(ASK_EVERY_SECONDS)


class Recovery:
    """How long it takes after each kind of fault, where the next fault did not come before."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._seconds: dict[str, list[float]] = {}
        self._measuring: asyncio.Task[None] | None = None
        self._name = ""

    def measure(self, name: str) -> None:
        """From now on, beside what happens."""
        self._name = name
        self._measuring = asyncio.create_task(self._measure(name))

    async def wait(self, seconds: float) -> None:
        """So long at most; a wait of `seconds` other than 0 that is not enough is a complaint."""
        if self._measuring is not None and seconds:
            _, late = await asyncio.wait([self._measuring], timeout=seconds)
            if late:
                self._site.complaints.add(f"{seconds:g} s after {self._name} not all was folded and delivered")

    def give_up(self) -> None:
        if self._measuring is not None:
            self._measuring.cancel()

    def table(self) -> dict[str, str]:
        """Kind of fault -> median and worst time."""
        return {
            name: f"{median(seconds):.1f}, at worst {max(seconds):.1f} ({len(seconds)} times)"
            for name, seconds in sorted(self._seconds.items())
        }

    async def _measure(self, name: str) -> None:
        started = time.monotonic()
        await until_caught_up(self._site)
        self._seconds.setdefault(name, []).append(time.monotonic() - started)
