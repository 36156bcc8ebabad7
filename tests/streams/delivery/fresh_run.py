"""A run of a sink over topics of its own."""

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streams.delivery.runner import SinkRun
from streams.kafka.topics import Topics
from tests.brokers import Broker


async def fresh_run(sink: str, broker: Broker, prefix: str, partitions: int) -> SinkRun:
    kafka = {"bootstrap_servers": broker.bootstrap_servers}
    topics = Topics(prefix)
    names = [topics.transitions, topics.scores, topics.dead_letters]
    admin = AIOKafkaAdminClient(**kafka)
    await admin.start()
    await admin.create_topics([NewTopic(name, num_partitions=partitions, replication_factor=1) for name in names])
    await admin.close()
    return SinkRun(sink, topics, kafka, session_timeout_ms=6000)
