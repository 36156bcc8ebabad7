"""Three nodes of Apache Kafka, each broker and controller, as production runs them. Any of them may be killed."""

import asyncio
import struct
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient

from streams.embedded.process import free_port
from tests.kafka.apache import ApacheKafka, class_path

NODES = 3
_SETTINGS = {
    "min.insync.replicas": "2",  # of the group offsets, too: a commit must not be lost with one broker
    "offsets.topic.replication.factor": str(NODES),
    "controller.quorum.election.timeout.ms": "500",
    "controller.quorum.fetch.timeout.ms": "1000",
    "replica.lag.time.max.ms": "3000",  # a dead follower leaves the in-sync replicas after this
}


def _node(directory: Path, number: int, controllers: list[int]) -> ApacheKafka:
    directory.mkdir()
    return ApacheKafka(directory, _SETTINGS, number=number, controllers=controllers)


class Cluster:
    def __init__(self, nodes: list[ApacheKafka]) -> None:
        self.nodes = nodes
        self.bootstrap_servers = ",".join(node.bootstrap_servers for node in nodes)

    @classmethod
    @asynccontextmanager
    async def start(cls) -> AsyncIterator["Cluster"]:
        """Raises:
        StartError: a node did not start.
        """
        await asyncio.to_thread(class_path)
        with tempfile.TemporaryDirectory(prefix="leadstream-kafka-") as name:
            controllers = [free_port() for _ in range(NODES)]
            nodes = [_node(Path(name, str(number)), number, controllers) for number in range(1, NODES + 1)]
            try:
                await asyncio.gather(*(node.format() for node in nodes))
                cluster = cls(nodes)
                await cluster.boot()
                yield cluster
            finally:
                for node in nodes:
                    node.kill()

    async def boot(self) -> None:
        """Start the nodes that do not run."""
        await asyncio.gather(*(node.boot() for node in self.nodes if not node.runs))

    async def coordinator_of(self, group: str) -> ApacheKafka:
        """The node that keeps the group's offsets."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap_servers)
        await admin.start()
        try:
            number = await admin.find_coordinator(group)
        finally:
            await admin.close()
        return next(node for node in self.nodes if node.number == number)

    async def in_sync(self, topic: str) -> bool:
        """Whether every copy of every partition is up to date."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap_servers)
        await admin.start()
        try:
            [described] = await admin.describe_topics([topic])
        finally:
            await admin.close()
        return all(len(partition["isr"]) == NODES for partition in described["partitions"])


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """The header of a batch of records as a broker keeps it on disk."""

    producer_id: int  # -1: the producer was not idempotent
    first_sequence: int
    stamped_by_broker: bool
    control: bool


# Magic 2: base offset, length, leader epoch, magic, checksum, attributes, last offset delta, two times, producer id and
# epoch, base sequence, count.
_HEADER = struct.Struct(">qiibIhiqqqhii")


def stored_batches(node: ApacheKafka, topic: str) -> Iterator[StoredBatch]:
    """Of all partitions of the topic that have a copy on the node."""
    for segment in sorted(node.data.glob(f"{topic}-*/*.log")):
        data, at = segment.read_bytes(), 0
        while at + _HEADER.size <= len(data):
            _, length, _, _, _, attributes, _, _, _, producer_id, _, sequence, _ = _HEADER.unpack_from(data, at)
            if length == 0:  # space that is reserved and not yet written
                break
            yield StoredBatch(producer_id, sequence, bool(attributes & 8), bool(attributes & 32))
            at += 12 + length
