import asyncio
from types import ModuleType

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from processors.model_log import model_activated
from schemas.codec import encode
from schemas.keys import CONTROL_KEY
from streams import model_records
from streams.kafka import log_reader
from streams.kafka.provision import admin_client
from streams.kafka.topics import Topics
from streams.model_records import active_model, first_models, models_in_force, wait_for_first_models
from tests.brokers import Broker
from tests.logs import delete_after_look
from tests.streams.scored_log import SITE, ScoredLog

OTHER = SITE.replace("points: 15", "points: 5")


async def test_the_first_model_of_each_partition_is_found_with_its_time(broker: Broker, prefix: str) -> None:
    topics = Topics(prefix=prefix)
    async with ScoredLog.start(broker, topics, model=None) as log:
        await log.traffic([b"1a", b"1b"])
        broken = model_activated(SITE, 9) | {"body": b"no zlib"}
        await log.append(CONTROL_KEY, encode("ModelActivated", broken), 0)
        await log.append(CONTROL_KEY, encode("ModelActivated", model_activated(OTHER, 2)), 0)
        assert set(await first_models(broker.at, topics, 2)) == {0}
        await log.activate(SITE, 3)
        found = await first_models(broker.at, topics, 2)
        assert {number: model["n"] for number, (model, _) in found.items()} == {0: 2, 1: 3}
        [record] = [each for each in await log.records(topics.events, 1) if each.value.endswith(found[1][0]["body"])]
        assert found[1][1] == record.timestamp


async def test_a_worker_waits_until_every_partition_has_a_model(broker: Broker, prefix: str) -> None:
    topics, told = Topics(prefix=prefix), asyncio.Event()
    missing: list[int] = []

    def on_missing(numbers: list[int]) -> None:
        missing.extend(numbers)
        told.set()

    async with ScoredLog.start(broker, topics, model=None) as log:
        waiting = asyncio.create_task(wait_for_first_models(broker.at, topics, 2, on_missing=on_missing))
        async with asyncio.timeout(20):
            await told.wait()
            await log.traffic([b"1a"])
            await log.activate(SITE, 1)
            found = await waiting
        assert missing == [0, 1]
        assert found == await first_models(broker.at, topics, 2)
        missing.clear()
        await wait_for_first_models(broker.at, topics, 2, on_missing=on_missing)
        assert missing == []


@pytest.mark.parametrize("module", [log_reader, model_records], ids=["first models", "in force"])
async def test_retention_that_comes_while_the_log_is_read_stops_nothing(
    broker: Broker, prefix: str, monkeypatch: pytest.MonkeyPatch, module: ModuleType
) -> None:
    if broker.kind == "embedded":
        pytest.skip("NOT TESTED ON THE EMBEDDED BROKER: it hangs up when asked to delete records")
    topics = Topics(prefix=prefix)
    async with ScoredLog.start(broker, topics) as log:
        await log.activate(OTHER, 2)
        await log.traffic([b"1a", b"1b"])
        cut = {TopicPartition(topics.events, number): 2 for number in range(2)}  # the epoch and the first activation
        delete_after_look(monkeypatch, module, cut)
        if module is log_reader:
            assert {model["n"] for model, _ in (await first_models(broker.at, topics, 2)).values()} == {2}
        else:
            newest = await active_model(broker.at, topics, 2)
            assert newest is not None
            assert newest["n"] == 2


async def test_where_retention_took_the_activation_the_repeated_one_stands_in(broker: Broker, prefix: str) -> None:
    if broker.kind == "embedded":
        pytest.skip("NOT TESTED ON THE EMBEDDED BROKER: it hangs up when asked to delete records")
    topics = Topics(prefix=prefix)
    async with ScoredLog.start(broker, topics) as log:
        await log.traffic([b"1a", b"1b"])
        await log.work()
        async with admin_client(broker.at) as admin:
            await admin.delete_records(
                {TopicPartition(topics.events, number): RecordsToDelete(before_offset=2) for number in range(2)}
            )
        found = await first_models(broker.at, topics, 2)
        assert {number: model["n"] for number, (model, _) in found.items()} == {0: 1, 1: 1}
        newest = await active_model(broker.at, topics, 2)
        assert newest is not None
        assert newest["n"] == 1


async def test_the_newest_model_is_found_whether_it_is_folded_or_not(broker: Broker, prefix: str) -> None:
    topics = Topics(prefix=prefix)
    async with ScoredLog.start(broker, topics, model=None) as log:
        assert await active_model(broker.at, topics, 2) is None
        await log.activate(SITE, 1)
        await log.traffic([b"1a", b"1b"])
        assert (await models_in_force(broker.at, topics, 2)).newest == model_activated(SITE, 1)
        await log.work()
        assert (await models_in_force(broker.at, topics, 2)).newest == model_activated(SITE, 1)
        await log.append(CONTROL_KEY, encode("ModelActivated", model_activated(OTHER, 2)), 1)
        in_force = await models_in_force(broker.at, topics, 2)
        assert in_force.newest == model_activated(OTHER, 2)
        assert {number: rank[0] for number, rank in in_force.ranks.items()} == {0: 1, 1: 2}
