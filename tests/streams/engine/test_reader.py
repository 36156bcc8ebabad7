"""What recovery reads, on Apache Kafka."""

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import RecordsToDelete

from streams.engine.reader import LogReader
from streams.engine.recovery import LogBounds
from streams.kafka.brokers import Brokers
from streams.kafka.provision import admin_client
from tests.brokers import require_apache
from tests.kafka.apache import ApacheKafka
from tests.logs import make_topic, producer_of, send_batch
from tests.streams.engine.cluster import engine_settings


@pytest.mark.kafka
async def test_retention_that_comes_between_the_look_and_the_fetch_stops_nothing(
    prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_apache()
    async with ApacheKafka.start() as kafka:
        brokers = Brokers(kafka.bootstrap_servers)
        settings = engine_settings(kafka.bootstrap_servers, prefix, embedded=False)
        [events] = await make_topic(brokers, settings.events_topic)
        async with producer_of(brokers) as producer:
            await send_batch(producer, events, [b"a", b"b", b"c"])
            await send_batch(producer, events, [b"d", b"e"])
        looks: list[dict[TopicPartition, int]] = []
        look = AIOKafkaConsumer.beginning_offsets

        async def then_retention_comes(
            self: AIOKafkaConsumer, partitions: list[TopicPartition]
        ) -> dict[TopicPartition, int]:
            looks.append(await look(self, partitions))
            async with admin_client(brokers) as admin:
                await admin.delete_records({events: RecordsToDelete(before_offset=3)})
            return looks[-1]

        monkeypatch.setattr(AIOKafkaConsumer, "beginning_offsets", then_retention_comes)
        assert await LogReader(settings).log_bounds([0]) == {0: LogBounds(3, 5, 0)}
        assert looks == [{events: 0}, {events: 3}]
