"""The site under chaos: Apache Kafka, a store, the parts as processes, and an outer world that records."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp

from streams.activation import plan_activation, write_activation
from streams.clock import SystemClock
from streams.embedded.process import Child, free_port
from streams.embedded.store import EmbeddedStore, answers_ping, store_arguments, store_program
from streams.kafka.brokers import Brokers
from streams.kafka.provision import ensure_topics
from tests.brokers import Broker
from tests.chaos.outer_world import OuterWorld
from tests.chaos.small_disk import SmallDisk, small_disk
from tests.e2e.deployment import PARTITIONS, Deployment
from tests.flaky_proxy import FlakyProxy, flaky_proxy
from tests.kafka.apache import ApacheKafka, class_path

LINKED = ("collector", "worker-1", "worker-2", "sink-redis", "sink-webhook")  # reach Kafka through a link of their own
KAFKA_DISK_BYTES, SPOOL_DISK_BYTES = 4 << 30, 64 << 20
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


@dataclass(frozen=True, slots=True)
class Ending:
    """Of a part: its exit code, and what it wrote since its start."""

    code: int
    said: str

    @property
    def reason(self) -> str:
        lines = [line for line in self.said.splitlines() if line.strip()]
        telling = [line for line in lines if "worker stops:" in line or "ending the process" in line]
        return [*lines, *telling][-1][:300] if lines else "(it said nothing)"


@dataclass
class Site:
    kafka: ApacheKafka
    store: EmbeddedStore
    world: OuterWorld
    parts: Deployment
    links: dict[str, FlakyProxy]
    kafka_disk: SmallDisk
    spool_disk: SmallDisk
    say: Callable[[str], None]
    accepted: set[tuple[str, str]] = field(default_factory=set)  # (lead, event id) that a 2xx was given for
    refused: int = 0
    told_to_wait: int = 0  # requests that were answered with 503
    complaints: set[str] = field(default_factory=set)  # what a fault found that must not be
    damaged: set[str] = field(default_factory=set)  # records of the rows that a fault wrote, as `verify` names them
    endings: dict[str, list[Ending]] = field(default_factory=dict)
    wanted: set[str] = field(default_factory=set)  # parts that have to run
    stopped: set[str] = field(default_factory=set)  # by SIGSTOP
    next_start: dict[str, dict[str, str]] = field(
        default_factory=dict
    )  # what a part is told then, as `part.py` reads it
    log_begins: dict[str, int] = field(default_factory=dict)  # of the last start of a part, in bytes

    @classmethod
    @asynccontextmanager
    async def running(cls, logs: Path, say: Callable[[str], None]) -> AsyncIterator["Site"]:
        async with AsyncExitStack() as stack:
            kafka_disk = stack.enter_context(small_disk(logs / "kafka" / "data", KAFKA_DISK_BYTES))
            spool_disk = stack.enter_context(small_disk(logs / "spool-disk", SPOOL_DISK_BYTES))
            links = {name: await stack.enter_async_context(flaky_proxy(free_port())) for name in LINKED}
            kafka = await _kafka(logs / "kafka", links, stack)
            store = await stack.enter_async_context(EmbeddedStore.start(logs / "store.log"))
            world = await stack.enter_async_context(OuterWorld.running())
            parts = Deployment(Broker("apache", kafka.bootstrap_servers), store.url, "chaos.", logs)
            brokers = Brokers(kafka.bootstrap_servers)
            await ensure_topics(brokers, parts.topics, partitions=PARTITIONS)
            activation = await plan_activation(brokers, parts.topics, PARTITIONS, MODEL, notify=False)
            await write_activation(brokers, parts.topics, activation, SystemClock().now_ms)
            site = cls(kafka, store, world, parts, links, kafka_disk, spool_disk, say)
            stack.push_async_callback(site.end)
            for name in ("collector", "worker-1", "worker-2", "sink-redis", "sink-webhook"):
                site.start(name)
            await asyncio.gather(*(parts.ready(name) for name in site.wanted))
            yield site

    def start(self, name: str) -> Child:
        """Start a part, or start it again."""
        self.wanted.add(name)
        log, clock = self.parts.logs / f"{name}.log", self._clock_file(name)
        self.log_begins[name] = log.stat().st_size if log.exists() else 0
        if not clock.exists():
            clock.write_text("0")
        settings = {"CLOCK_FILE": str(clock), **self._settings_of(name), **self.next_start.pop(name, {})}
        if name in self.links:
            settings["KAFKA_BOOTSTRAP_SERVERS"] = f"127.0.0.1:{self.links[name].own_port}"
        kind, _, which = name.partition("-")
        command = (kind, which) if kind == "sink" else (kind,)
        port = {"collector": "LEADSTREAM_COLLECTOR_PORT", "sink": "LEADSTREAM_SINKS_STATUS_PORT"}
        return self.parts.start(
            name, *command, port=port.get(kind, "LEADSTREAM_WORKER_STATUS_PORT"), module="tests.chaos.part", **settings
        )

    def _settings_of(self, name: str) -> dict[str, str]:
        if name == "collector":
            return {"LEADSTREAM_COLLECTOR_SPOOL_DIR": str(self.spool_disk.directory / "spool")}
        if name.startswith("sink"):
            return {
                "LEADSTREAM_WEBHOOK_URL": self.world.url,
                "LEADSTREAM_WEBHOOK_SECRET": SECRET,
                "LEADSTREAM_WEBHOOK_ALLOW_PRIVATE": "true",
            }
        return {"LEADSTREAM_WORKER_INSTANCE_ID": name}

    async def supervise(self) -> None:
        """Start again what has ended, as an orchestrator does."""
        while True:
            for name in sorted(self.wanted):
                code = self.parts.children[name].exit_code
                if code is not None:
                    said = (self.parts.logs / f"{name}.log").read_bytes()[self.log_begins[name] :]
                    ending = Ending(code, said.decode(errors="replace"))
                    self.endings.setdefault(name, []).append(ending)
                    self.say(f"{name} ended with {code}, is started again: {ending.reason}")
                    self.stopped.discard(name)
                    self.start(name)
            await asyncio.sleep(0.5)

    async def ending(self, fits: Callable[[str, Ending], bool], seconds: float) -> bool:
        """Wait for an ending that comes from now on; False if none came in time."""
        seen = {name: len(endings) for name, endings in self.endings.items()}
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for name, endings in self.endings.items():
                if any(fits(name, ending) for ending in endings[seen.get(name, 0) :]):
                    return True
            await asyncio.sleep(0.2)
        return False

    async def is_ready(self, name: str) -> bool:
        with suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
                session.get(f"http://127.0.0.1:{self.parts.ports[name]}/readyz") as response,
            ):
                return response.status == 200
        return False

    async def boot_store(self) -> None:
        """Again, empty, where it was."""
        port = int(self.store.url.split(":")[2].split("/")[0])
        child = Child([store_program(), *store_arguments(port)], self.parts.logs / "store.log")
        await child.until(lambda: answers_ping(port), "the store", 10)
        self.store = replace(self.store, child=child)

    def step_clock(self, name: str, ahead_seconds: int) -> None:
        """Of a part that runs, and of its next starts."""
        partial = self._clock_file(name).with_suffix(".partial")
        partial.write_text(str(ahead_seconds))
        partial.replace(self._clock_file(name))

    def _clock_file(self, name: str) -> Path:
        return self.parts.logs / f"{name}.clock"

    def send(self, name: str, number: signal.Signals) -> None:
        child = self.parts.children[name]
        if child.exit_code is None:
            with suppress(ProcessLookupError):
                child.send(number)
        if number is signal.SIGSTOP:
            self.stopped.add(name)
        elif number is signal.SIGCONT:
            self.stopped.discard(name)

    async def end(self) -> None:
        children = self.parts.children
        for name in sorted(self.stopped):
            self.send(name, signal.SIGCONT)
        for child in children.values():
            with suppress(ProcessLookupError):
                child.send(signal.SIGTERM)
        for child in children.values():
            await child.stop(grace_seconds=20)
        await self.store.child.stop()  # which may be another one than at the start


async def _kafka(directory: Path, links: dict[str, FlakyProxy], stack: AsyncExitStack) -> ApacheKafka:
    """With a listener behind each link, whose clients are told the port of the link."""
    names = {name: name.upper().replace("-", "") for name in links}
    protocols = ",".join(f"{each}:PLAINTEXT" for each in ("PLAINTEXT", "CONTROLLER", *names.values()))
    await asyncio.to_thread(class_path)
    kafka = ApacheKafka(
        directory,
        {"listener.security.protocol.map": protocols, "inter.broker.listener.name": "PLAINTEXT"},
        listeners={names[name]: link.target for name, link in links.items()},
        advertised={names[name]: link.own_port for name, link in links.items()},
    )
    stack.callback(kafka.kill)
    await kafka.format()
    await kafka.boot()
    return kafka
