"""All parts on this machine: what `up` and `demo` run.

Broker (unless it is one's own) and store are embedded and in memory; collector, worker and sinks are the same commands
that a container would call, as child processes, told by their environment. Everything listens on loopback and ends with
this process, however that ends.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from secrets import token_hex
from types import MappingProxyType
from typing import Self

import aiohttp

from schemas.records import ModelActivated
from streams.clock import Clock
from streams.embedded.broker import EmbeddedBroker
from streams.embedded.process import LOOPBACK, Child, StartError, free_port
from streams.embedded.store import EmbeddedStore
from streams.prepare import Prepared, prepare
from streams.require_alone import require_alone
from streams.settings.brokers import read_brokers
from streams.settings.config import Kafka, Redis, Settings, Sinks, Worker, clock_of, environment_of, topics_of

PARTITIONS = 4
READY_SECONDS = 60.0
WORKER_ID = "leadstream-up"  # of the group: the same for each worker, so that a successor takes over at once
_ROOT = Path(__file__).parents[1]

OnStep = Callable[[str], None]


@dataclass
class Stack:
    """The running parts. `settings` point at them; children are told the same by their environment."""

    settings: Settings
    logs: Path
    parts: dict[str, Child] = field(default_factory=dict)  # by the name of its log file, workers too
    workers: list[Child] = field(default_factory=list)
    status_ports: dict[str, int] = field(default_factory=dict)
    in_force: ModelActivated | None = None

    @property
    def url(self) -> str:
        return f"http://{self.settings.collector.host}:{self.settings.collector.port}"

    @property
    def variables(self) -> str:
        """What a shell has to be told so that `leadstream` commands find this stack."""
        kafka, redis, collector = self.settings.kafka, self.settings.redis, self.settings.collector
        # The one of a broker in memory is made up, and worth nothing once this ends; that of the settings is not told.
        secret = ""
        if kafka.embedded:
            name = "LEADSTREAM_COLLECTOR_KEY_SECRET"
            secret = f" {name}={collector.key_secret} {name}_FILE="  # a file would win
        return (
            f"export KAFKA_BOOTSTRAP_SERVERS={kafka.bootstrap_servers} REDIS_URL={redis.url} "
            f"LEADSTREAM_COLLECTOR_PORT={collector.port}{secret}"
        )

    @property
    def clock(self) -> Clock:
        return clock_of(self.settings)

    def environment(self, more: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
        """What a child needs to find the others, and all other settings; none of the parent's own variables."""
        return {
            "PATH": os.defpath,
            "PYTHONPATH": str(_ROOT),
            "PYTHONUNBUFFERED": "1",
            **environment_of(self.settings),
            **more,
        }

    def start(self, name: str, *command: str, status_variable: str = "", **more: str) -> Child:
        """Start a part, such as `start("worker-1", "worker")`; its output goes to a file in `logs`."""
        if status_variable:
            self.status_ports[name] = free_port()
            more[status_variable] = str(self.status_ports[name])
        arguments = [sys.executable, "-m", "streams", *command]
        child = Child(arguments, self.logs / f"{name}.log", self.environment(more))
        self.parts[name] = child
        return child

    def start_worker(self) -> Child:
        """One more worker, after the one before has ended."""
        name = f"worker-{len(self.workers) + 1}"
        child = self.start(
            name, "worker", status_variable="LEADSTREAM_WORKER_STATUS_PORT", LEADSTREAM_WORKER_INSTANCE_ID=WORKER_ID
        )
        self.workers.append(child)
        return child

    async def until_ready(self, name: str, child: Child, port: int | None = None) -> None:
        """Return when the part's /readyz says so.

        Raises:
            StartError: it ended or was not ready in time; the message ends with its last line.
        """
        url = f"http://127.0.0.1:{port or self.status_ports[name]}/readyz"
        async with aiohttp.ClientSession() as session:

            async def ready() -> bool:
                with suppress(aiohttp.ClientError, TimeoutError):
                    async with session.get(url, timeout=aiohttp.ClientTimeout(2)) as response:
                        return response.status == 200
                return False

            try:
                await child.until(ready, name, READY_SECONDS)
            except StartError as error:
                raise StartError(f"{error}: {self.last_line(name)}") from error

    def last_line(self, name: str) -> str:
        """The last line that a part has written, after the one that it explains, if it is indented: why it ended."""
        path = self.logs / f"{name}.log"
        lines = path.read_text("utf-8", "replace").splitlines() if path.is_file() else []
        if len(lines) > 1 and lines[-1].startswith("  "):
            return f"{lines[-2]}; {lines[-1].strip()}"
        return lines[-1] if lines else "it wrote nothing"

    @classmethod
    @asynccontextmanager
    async def running(
        cls,
        settings: Settings,
        model: str,
        logs: Path,
        on_step: OnStep,
        *,
        sinks: tuple[str, ...] = ("redis", "alerts"),
        own_broker: bool = False,
        keep_active: bool = False,
        beside: Callable[[Self], None] = lambda _: None,
    ) -> AsyncIterator[Self]:
        """Everything, ready; ended in order with the block.

        Args:
            settings: port, origins, keys and clock; where the services are is filled in.
            model: text of the model that is activated first.
            logs: a folder for the output of the parts.
            on_step: told of each step that is done.
            sinks: which sinks to run.
            own_broker: the one that the settings name, instead of the embedded one. Its records stay there.
            keep_active: a model that is in force on it stays.
            beside: called when broker, store and topics are there and the parts begin to start: for what joins a
                consumer group in this process, which takes as long as the worker does.

        Raises:
            StartError: a part did not come up.
            NotAloneError, ProvisionError, TopicsNotReadyError, KafkaError, OSError: a broker of one's own is in use by
                others, is not as it must be, or is away.
        """
        async with AsyncExitStack() as stack:
            parts: dict[str, Child] = {}
            if own_broker:
                kafka = _seen_from_anywhere(settings.kafka)
                # The sink of the alerts may run beside us, in the process that asks.
                await require_alone(read_brokers(kafka), topics_of(settings), {*sinks, "alerts"}, WORKER_ID, on_step)
                on_step(f"broker {kafka.bootstrap_servers} answers")
            else:
                broker = await stack.enter_async_context(EmbeddedBroker.start(logs / "broker.log"))
                kafka = Kafka(bootstrap_servers=broker.bootstrap_servers, embedded=True, partitions=PARTITIONS)
                parts["broker"] = broker.child
                on_step(f"broker ready on {broker.bootstrap_servers}, in memory")
            store = await stack.enter_async_context(EmbeddedStore.start(logs / "store.log"))
            parts["store"] = store.child
            on_step("store ready, in memory")
            self = cls(_placed(settings, kafka, store.url), logs, parts)
            await self._prepare(model, keep_active=keep_active, on_step=on_step)
            beside(self)
            await self._start_parts(stack, sinks, on_step)
            yield self

    async def _prepare(self, model: str, *, keep_active: bool, on_step: OnStep) -> None:
        kafka = self.settings.kafka
        prepared = await prepare(
            read_brokers(kafka),
            topics_of(self.settings),
            model,
            self.clock.now_ms,
            partitions=kafka.partitions,
            replication=kafka.replication_factor,
            keep_active=keep_active,
        )
        self.in_force = prepared.in_force
        on_step(_topics_step(prepared))
        on_step(_model_step(prepared))

    async def _start_parts(self, stack: AsyncExitStack, sinks: tuple[str, ...], on_step: OnStep) -> None:
        async def told(step: str, name: str, child: Child, port: int | None = None) -> None:
            await self.until_ready(name, child, port)
            on_step(step)

        waits: list[Awaitable[None]] = []
        for name in sinks:
            # The store begins empty, and a broker of one's own remembers how far an earlier store had come.
            refill = ("--from-beginning",) if name == "redis" and not self.settings.kafka.embedded else ()
            child = self.start(name, "sink", name, *refill, status_variable="LEADSTREAM_SINKS_STATUS_PORT")
            stack.push_async_callback(child.stop)
            waits.append(told(f"sink {name} ready", name, child))
        collector = self.start("collector", "collector")
        stack.push_async_callback(collector.stop)
        waits.append(told(f"collector on {self.url}", "collector", collector, self.settings.collector.port))
        stack.push_async_callback(self._stop_workers)
        waits.append(told("worker has its partitions", "worker-1", self.start_worker()))
        await asyncio.gather(*waits)

    async def _stop_workers(self) -> None:
        for child in self.workers:
            await child.stop(grace_seconds=10.0)


def _topics_step(prepared: Prepared) -> str:
    topics = f"{prepared.topics} topics with {prepared.partitions} partitions"
    if not prepared.created:
        return f"{topics} are there"
    return (
        f"{topics} created" if prepared.created == prepared.topics else f"{topics}, {prepared.created} of them created"
    )


def _model_step(prepared: Prepared) -> str:
    before, name = prepared.activation.before, _name(prepared.in_force)
    if not prepared.activation.partitions:
        return f"model in force already: {name}"
    instead = "" if before is None or prepared.activation.repeats else f", in place of {_name(before)}"
    return f"model activated: {name}{instead}"


def _name(activated: ModelActivated) -> str:
    return f"{activated['name']}@{activated['version']}"


def _placed(settings: Settings, kafka: Kafka, redis_url: str) -> Settings:
    """The settings with the addresses of the services and what eases a try: loopback only, every loopback origin may
    send, a page at /, and the terminal for alert channels that are not set.
    """
    given = settings.collector
    collector = replace(
        given,
        host=LOOPBACK,
        port=given.port or free_port(),
        # In memory no key outlives the command; on a broker of one's own the same secret gives a lead the same key again.
        key_secret=(not kafka.embedded and given.key_secret) or token_hex(16),
        spool_dir=_absolute(given.spool_dir),
        allow_loopback_origins=True,
        dev_page=True,
    )
    return replace(
        settings,
        kafka=kafka,
        redis=Redis(redis_url),
        collector=collector,
        worker=Worker(),
        sinks=Sinks(),
        alerts=replace(settings.alerts, terminal=True),
    )


def _seen_from_anywhere(kafka: Kafka) -> Kafka:
    """Children run in another folder, so files have to be named from the root."""
    return replace(
        kafka,
        embedded=False,
        ca_file=_absolute(kafka.ca_file),
        certificate_file=_absolute(kafka.certificate_file),
        key_file=_absolute(kafka.key_file),
    )


def _absolute(path: str) -> str:
    return str(Path(path).absolute()) if path else ""
