import pytest
from aiokafka import TopicPartition

from schemas.codec import decode
from streams.kafka.log_reader import read_log
from streams.kafka.provision import Provisioned, ProvisionError, admin_client, ensure_topics, partition_counts
from streams.kafka.topics import Topics
from tests.brokers import Broker
from tests.logs import make_topic, producer_of


async def test_topics_are_made_and_begin_with_the_epoch(broker: Broker, prefix: str) -> None:
    topics = Topics(prefix=prefix)
    events = tuple(TopicPartition(topics.events, number) for number in range(3))
    done = await ensure_topics(broker.at, topics, partitions=3)
    assert done == Provisioned(created=tuple(topic.name for topic in topics.table), epochs=events)
    async with admin_client(broker.at) as admin:
        counts = await partition_counts(admin)
    assert {topic.name: counts[topic.name] for topic in topics.table} == {topic.name: 3 for topic in topics.table}
    records = [record async for record in read_log(broker.at, events)]
    assert sorted((record.partition, record.offset) for record in records) == [(0, 0), (1, 0), (2, 0)]
    assert {record.key for record in records} == {b"ctl"}
    assert [decode(record.value) for record in records] == [("Epoch", {"epoch": 1})] * 3


async def test_a_second_run_does_nothing(broker: Broker, prefix: str) -> None:
    topics = Topics(prefix=prefix)
    await ensure_topics(broker.at, topics, partitions=2)
    assert await ensure_topics(broker.at, topics, partitions=2) == Provisioned((), ())
    tps = [TopicPartition(topics.events, number) for number in range(2)]
    assert len([record async for record in read_log(broker.at, tps)]) == 2


async def test_a_run_that_was_cut_off_is_completed(broker: Broker, prefix: str) -> None:
    topics = Topics(prefix=prefix)
    zero, one = await make_topic(broker.at, topics.events, 2)
    async with producer_of(broker.at) as producer:
        await producer.send_and_wait(topics.events, b"not an epoch", key=b"1x", partition=0)
    done = await ensure_topics(broker.at, topics, partitions=2)
    assert done.epochs == (one,)
    assert topics.events not in done.created
    assert topics.rows in done.created
    values = [record.value async for record in read_log(broker.at, [zero])]
    assert values == [b"not an epoch"]


async def test_a_dry_run_says_what_is_missing_and_changes_nothing(broker: Broker, prefix: str) -> None:
    topics = Topics(prefix=prefix)
    told = await ensure_topics(broker.at, topics, partitions=2, dry_run=True)
    async with admin_client(broker.at) as admin:
        assert not any(name.startswith(prefix) for name in await partition_counts(admin))
    assert told == await ensure_topics(broker.at, topics, partitions=2)


async def test_another_partition_count_is_refused_before_anything_is_made(broker: Broker, prefix: str) -> None:
    topics = Topics(prefix=prefix)
    await make_topic(broker.at, topics.rows, 3)
    with pytest.raises(ProvisionError, match=r"rows\.v1 has 3 partitions and 2 are wanted.*--partitions 3"):
        await ensure_topics(broker.at, topics, partitions=2)
    async with admin_client(broker.at) as admin:
        assert topics.events not in await partition_counts(admin)


async def test_what_the_broker_refuses_is_told(broker: Broker, prefix: str) -> None:
    if broker.kind == "embedded":
        pytest.skip("the embedded broker accepts any number of replicas")
    with pytest.raises(ProvisionError, match=r"refused to create topic .*leadstream\.events\.v1: .*replication"):
        await ensure_topics(broker.at, Topics(prefix=prefix), partitions=1, replication=3)
