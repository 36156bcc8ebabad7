"""The parts as a container would run them: `leadstream` commands told by their environment, on a real broker."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from processors.models import load_shipped
from streams.activation import plan_activation, write_activation
from streams.clock import SystemClock
from streams.embedded.process import Child, free_port
from streams.kafka.provision import ensure_topics
from streams.kafka.topics import Topics
from tests.brokers import Broker

PARTITIONS = 4


@dataclass
class Deployment:
    broker: Broker
    redis_url: str
    prefix: str
    logs: Path
    more: Mapping[str, str] = field(default_factory=dict)  # variables of every part
    children: dict[str, Child] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)

    @property
    def topics(self) -> Topics:
        return Topics(self.prefix)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['collector']}"

    async def provision(self) -> None:
        brokers = self.broker.at
        await ensure_topics(brokers, self.topics, partitions=PARTITIONS)
        model = load_shipped("reference")
        activation = await plan_activation(brokers, self.topics, PARTITIONS, model, notify=False)
        await write_activation(brokers, self.topics, activation, SystemClock().now_ms)

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.defpath,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "KAFKA_BOOTSTRAP_SERVERS": self.broker.bootstrap_servers,
            "LEADSTREAM_KAFKA_EMBEDDED": str(self.broker.kind == "embedded").lower(),
            "LEADSTREAM_KAFKA_TOPIC_PREFIX": self.prefix,
            "LEADSTREAM_COLLECTOR_KEY_SECRET": "of this test",
            "REDIS_URL": self.redis_url,
            **self.more,
        }

    def start(self, name: str, *command: str, port: str, module: str = "streams", **more: str) -> Child:
        """Start a part under `name`; `port` is the variable that takes its port."""
        self.ports.setdefault(name, free_port())
        environment = {**self.environment(), port: str(self.ports[name]), **more}
        child = Child([sys.executable, "-m", module, *command], self.logs / f"{name}.log", environment)
        self.children[name] = child
        return child

    def start_worker(self) -> Child:
        return self.start(
            "worker", "worker", port="LEADSTREAM_WORKER_STATUS_PORT", LEADSTREAM_WORKER_INSTANCE_ID="worker-0"
        )

    def start_collector(self, **more: str) -> Child:
        return self.start("collector", "collector", port="LEADSTREAM_COLLECTOR_PORT", **more)

    def start_sink(self, name: str) -> Child:
        return self.start(f"sink-{name}", "sink", name, port="LEADSTREAM_SINKS_STATUS_PORT")

    async def ready(self, name: str, seconds: float = 90.0) -> None:
        async with aiohttp.ClientSession() as session:

            async def asked() -> bool:
                with suppress(aiohttp.ClientError):
                    async with session.get(f"http://127.0.0.1:{self.ports[name]}/readyz") as response:
                        return response.status == 200
                return False

            await self.children[name].until(asked, f"{name}: {self.log(name)[-2000:]}", seconds)

    async def leadstream(self, *command: str) -> tuple[int | None, str, str]:
        """Say a command, off a terminal; its exit code, output and errors. It ends with the caller."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "streams", *command,
            env=self.environment(), stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return process.returncode, out.decode(), err.decode()

    def log(self, name: str) -> str:
        path = self.logs / f"{name}.log"
        return path.read_text() if path.exists() else ""


@asynccontextmanager
async def deployment(broker: Broker, redis_url: str, prefix: str, logs: Path) -> AsyncIterator[Deployment]:
    """Topics and model are there; every part that is started ends with the block."""
    deployed = Deployment(broker, redis_url, prefix, logs)
    await deployed.provision()
    try:
        yield deployed
    finally:
        for child in deployed.children.values():
            with suppress(ProcessLookupError):
                child.send(signal.SIGTERM)
        for child in deployed.children.values():
            await child.stop(grace_seconds=15)
