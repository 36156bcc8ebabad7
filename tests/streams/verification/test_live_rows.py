"""What is wrong with the changelog itself, and what a worker starts from all the same."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiokafka import TopicPartition

from processors.fold_partition import MODEL_PREFIX, PartitionFold
from processors.model_log import model_activated
from schemas.codec import encode
from schemas.keys import partition_of
from streams.kafka.topics import Topics
from streams.repair.accept_loss import NotOfTheLogError, find_losses
from streams.verification.live_rows import LiveRows, read_live_rows
from streams.verification.report import Difference
from tests.brokers import Broker
from tests.streams.scored_log import SITE, ScoredLog

ADA = b"1ada"


@pytest_asyncio.fixture
async def log(broker: Broker, prefix: str) -> AsyncIterator[ScoredLog]:
    async with ScoredLog.start(broker, Topics(prefix=prefix)) as log:
        for _ in range(2):
            await log.traffic([ADA])
            await log.work()
        yield log


async def live(log: ScoredLog) -> tuple[LiveRows, list[Difference]]:
    number = partition_of(ADA, log.partitions)
    fold = PartitionFold(log.topics.events, number, log.partitions)
    return await read_live_rows(log.brokers, fold, TopicPartition(log.topics.rows, number), None)


async def test_an_older_row_behind_the_newest_is_wrong_and_no_damage(log: ScoredLog) -> None:
    await log.write_row(partition_of(ADA, log.partitions), ADA, (await log.rows_of(ADA))[0])
    rows, [difference] = await live(log)
    assert (rows.damaged, difference.where) == (False, "lead 1ada")
    assert await find_losses(log.brokers, log.topics, log.partitions) == []


NO_MODEL = encode("ModelActivated", {**model_activated(SITE, 1), "body": b"no model"})


@pytest.mark.parametrize("value", [b"\x09garbage", NO_MODEL])
async def test_a_partition_without_its_model_is_damaged(log: ScoredLog, value: bytes) -> None:
    number = partition_of(ADA, log.partitions)
    await log.write_row(number, ADA, (await log.rows_of(ADA))[0])  # what is damaged is told first
    [model] = {
        record.key for record in await log.records(log.topics.rows, number) if record.key.startswith(MODEL_PREFIX)
    }
    await log.write_row(number, model, value)
    rows, found = await live(log)
    assert rows.damaged
    assert (list(rows.unreadable), rows.unusable is None) == (([], False) if value == NO_MODEL else ([model], True))
    with pytest.raises(NotOfTheLogError) as refused:
        await find_losses(log.brokers, log.topics, log.partitions)
    assert str(refused.value) == str(found[0])


async def test_the_newest_row_has_a_body_that_can_be_read(log: ScoredLog) -> None:
    number = partition_of(ADA, log.partitions)
    older, newest = await log.rows_of(ADA)
    await log.write_row(number, ADA, newest[:-3])
    await log.write_row(number, ADA, older)  # does not stand in for it: the highest version wins
    rows, found = await live(log)
    assert rows.damaged
    assert "unreadable" in found[0].live
    with pytest.raises(NotOfTheLogError, match="unreadable"):
        await find_losses(log.brokers, log.topics, log.partitions)
    await log.write_row(number, ADA, newest)
    assert not (await live(log))[0].damaged
