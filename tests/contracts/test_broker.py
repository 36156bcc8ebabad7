"""What leadstream expects of a Kafka broker; the same on the embedded one and on Apache Kafka."""

from streams.embedded.broker import answers_metadata
from tests.brokers import Broker


async def test_it_answers_a_metadata_request(broker: Broker) -> None:
    assert await answers_metadata(broker.bootstrap_servers)
