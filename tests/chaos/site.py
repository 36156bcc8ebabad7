"""The site under chaos: Apache Kafka, a store, the parts as processes, an outer world that records, and a load."""

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from streams.activation import plan_activation, write_activation
from streams.brokers import Brokers
from streams.clock import SystemClock
from streams.embedded.process import Child
from streams.embedded.store import EmbeddedStore
from streams.provision import ensure_topics
from tests.brokers import Broker
from tests.chaos.outer_world import OuterWorld
from tests.e2e.deployment import PARTITIONS, Deployment
from tests.kafka.apache import ApacheKafka

LEADS = 500  # so many that none has 2,000 views, from which on its row takes no more
EVENTS_PER_SECOND = 60
REPEATED = 0.05  # of the requests are sent once more, as clients do
SECRET = "whsec_Y2hhb3MgY2hhb3MgY2hhb3MgY2hhb3M="
MODEL = """
leadstream: 1
name: chaos
dimensions: {engagement: {half_life: never}}
rules:
  - {id: view, points: 1, when: {event: page_view}}
stages:
  - {id: visitor}
  - {id: reader, enter: {score: at least 5}}
  - {id: fan, enter: {score: at least 20}}
  - {id: friend, enter: {score: at least 60}}
"""


@dataclass
class Site:
    kafka: ApacheKafka
    store: EmbeddedStore
    world: OuterWorld
    parts: Deployment
    say: Callable[[str], None]
    accepted: set[tuple[str, str]] = field(default_factory=set)  # (lead, event id) that a 2xx was given for
    refused: int = 0
    restarts: dict[str, int] = field(default_factory=dict)
    wanted: set[str] = field(default_factory=set)  # parts that have to run
    stopped: set[str] = field(default_factory=set)  # by SIGSTOP
    crash_points: dict[str, str] = field(default_factory=dict)  # of the next start of a worker

    @classmethod
    @asynccontextmanager
    async def running(cls, logs: Path, say: Callable[[str], None]) -> AsyncIterator["Site"]:
        async with AsyncExitStack() as stack:
            kafka = await stack.enter_async_context(ApacheKafka.start())
            store = await stack.enter_async_context(EmbeddedStore.start(logs / "store.log"))
            world = await stack.enter_async_context(OuterWorld.running())
            parts = Deployment(Broker("apache", kafka.bootstrap_servers), store.url, "chaos.", logs)
            brokers = Brokers(kafka.bootstrap_servers)
            await ensure_topics(brokers, parts.topics, partitions=PARTITIONS)
            activation = await plan_activation(brokers, parts.topics, PARTITIONS, MODEL, notify=False)
            await write_activation(brokers, parts.topics, activation, SystemClock().now_ms)
            site = cls(kafka, store, world, parts, say)
            stack.push_async_callback(site.end)
            for name in ("collector", "worker-1", "worker-2", "sink-redis", "sink-webhook"):
                site.start(name)
            await asyncio.gather(*(parts.ready(name) for name in site.wanted))
            yield site

    def start(self, name: str) -> Child:
        """Start a part, or start it again."""
        self.wanted.add(name)
        kind, _, which = name.partition("-")
        if kind == "collector":
            spool = {"LEADSTREAM_COLLECTOR_SPOOL_DIR": str(self.parts.logs / "spool")}
            return self.parts.start(name, "collector", port="LEADSTREAM_COLLECTOR_PORT", **spool)
        if kind == "sink":
            webhook = {
                "LEADSTREAM_WEBHOOK_URL": self.world.url,
                "LEADSTREAM_WEBHOOK_SECRET": SECRET,
                "LEADSTREAM_WEBHOOK_ALLOW_PRIVATE": "true",
            }
            return self.parts.start(name, "sink", which, port="LEADSTREAM_SINKS_STATUS_PORT", **webhook)
        worker = {"port": "LEADSTREAM_WORKER_STATUS_PORT", "LEADSTREAM_WORKER_INSTANCE_ID": name}
        if (point := self.crash_points.pop(name, None)) is not None:
            return self.parts.start(name, module="tests.chaos.crashing_worker", CRASH_AT=point, **worker)
        return self.parts.start(name, "worker", **worker)

    async def supervise(self) -> None:
        """Start again what has ended, as an orchestrator does."""
        while True:
            for name in sorted(self.wanted):
                child = self.parts.children[name]
                if child.exit_code is not None:
                    self.restarts[name] = self.restarts.get(name, 0) + 1
                    self.say(f"{name} ended with {child.exit_code}, is started again: {self.last_line(name)}")
                    self.stopped.discard(name)
                    self.start(name)
            await asyncio.sleep(0.5)

    def last_line(self, name: str) -> str:
        lines = [line for line in self.parts.log(name).splitlines() if line.strip()]
        return lines[-1][-200:] if lines else "(it said nothing)"

    def send(self, name: str, number: signal.Signals) -> None:
        child = self.parts.children[name]
        if child.exit_code is None:
            with suppress(ProcessLookupError):
                child.send(number)
        if number is signal.SIGSTOP:
            self.stopped.add(name)
        elif number is signal.SIGCONT:
            self.stopped.discard(name)

    async def load(self, random_: random.Random, until: float) -> None:
        """Page views of many visitors, until then (monotonic). What gets no 2xx is sent again with the same id."""
        number, sending = 0, set[asyncio.Task[None]]()
        timeout = aiohttp.ClientTimeout(total=20)
        async with aiohttp.ClientSession(
            timeout=timeout, headers={"User-Agent": "Mozilla/5.0 Chrome/140.0"}
        ) as session:
            while time.monotonic() < until:
                number += 1
                lead = f"visitor-{int(random_.random() ** 1.2 * LEADS)}"
                task = asyncio.create_task(self._view(session, lead, f"view-{number}", random_.random() < REPEATED))
                sending.add(task)
                task.add_done_callback(sending.discard)
                await asyncio.sleep(1 / EVENTS_PER_SECOND)
            await asyncio.gather(*sending)

    async def _view(self, session: aiohttp.ClientSession, lead: str, event_id: str, twice: bool) -> None:
        body: dict[str, object] = {
            "type": "page",
            "anonymousId": lead,
            "messageId": event_id,
            "properties": {"url": f"https://www.acme.example/{event_id}"},
        }
        left = 2 if twice else 1
        while left:
            if await self._post(session, body):
                self.accepted.add((lead, event_id))
                left -= 1
            else:
                self.refused += 1
                await asyncio.sleep(0.5)

    async def _post(self, session: aiohttp.ClientSession, body: dict[str, object]) -> bool:
        with suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with session.post(f"{self.parts.url}/v1/page", json=body) as response:
                return response.status == 200
        return False

    async def end(self) -> None:
        children = self.parts.children
        for name in sorted(self.stopped):
            self.send(name, signal.SIGCONT)
        for child in children.values():
            with suppress(ProcessLookupError):
                child.send(signal.SIGTERM)
        for child in children.values():
            await child.stop(grace_seconds=20)
