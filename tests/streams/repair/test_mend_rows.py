from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from processors.fold_partition import PART_KEY
from schemas.codec import encode
from schemas.keys import CONTROL_KEY, partition_of
from schemas.rows import pack_row, read_header, unpack_row
from streams.kafka.provision import admin_client
from streams.kafka.topics import Topics
from streams.repair.mend_rows import CannotMendError, mend_rows
from streams.verification.verify import verify
from tests.brokers import Broker
from tests.streams.scored_log import SITE, ScoredLog

LEADS = [f"1visitor-{number}".encode() for number in range(4)]
ADA = LEADS[0]
GARBAGE = b"\x09garbage"


@pytest_asyncio.fixture
async def log(broker: Broker, prefix: str) -> AsyncIterator[ScoredLog]:
    """Folded to its end, by two models one after the other; more records wait behind."""
    async with ScoredLog.start(broker, Topics(prefix=prefix)) as log:
        await log.traffic(LEADS)
        await log.work()
        await log.activate(SITE.replace("points: 15", "points: 16"), n=2)
        await log.traffic(LEADS)
        await log.work()
        await log.act(ADA, url="https://a.example/contact")
        yield log


async def differences(log: ScoredLog) -> list[str]:
    return [str(each) for each in (await verify(log.brokers, log.topics, log.partitions)).differences]


async def test_a_row_that_cannot_be_read_comes_back_from_the_log(log: ScoredLog) -> None:
    number = partition_of(ADA, log.partitions)
    before = (await log.rows_of(ADA))[-1]
    await log.write_row(number, ADA, GARBAGE)
    await log.write_row(number, b"1nobody", GARBAGE)
    assert len(await differences(log)) >= 2
    planned = await mend_rows(log.brokers, log.topics, log.partitions, dry_run=True)
    assert (await log.rows_of(ADA))[-1] == GARBAGE
    assert await mend_rows(log.brokers, log.topics, log.partitions) == planned
    assert [(each.partition, each.key, each.is_row) for each in planned] == [
        (number, "1visitor-0", True),
        (number, "1nobody", False),
    ]
    assert (await log.rows_of(ADA))[-1] == before
    assert (await log.records(log.topics.rows, number))[-1].value is None
    assert await differences(log) == []
    assert await mend_rows(log.brokers, log.topics, log.partitions) == []


async def test_a_row_whose_header_alone_can_be_read_comes_back_too(log: ScoredLog) -> None:
    before = (await log.rows_of(ADA))[-1]
    await log.write_row(partition_of(ADA, log.partitions), ADA, before[:-3])
    assert len(await differences(log)) >= 1
    [mended] = await mend_rows(log.brokers, log.topics, log.partitions)
    assert (mended.key, mended.is_row) == ("1visitor-0", True)
    assert (await log.rows_of(ADA))[-1] == before
    assert await differences(log) == []
    assert await mend_rows(log.brokers, log.topics, log.partitions) == []


async def test_a_damaged_row_that_would_beat_the_one_of_the_log_is_refused(log: ScoredLog) -> None:
    """What a worker wrote of a later record before it died, and then was damaged."""
    before = (await log.rows_of(ADA))[-1]
    header = read_header(before)
    epoch, offset = header.version
    ahead = pack_row((epoch, offset + 100), header.wake_at, header.model_stamp, unpack_row(before))[:-3]
    await log.write_row(partition_of(ADA, log.partitions), ADA, ahead)
    with pytest.raises(
        CannotMendError, match=r"key b'1visitor-0' cannot be read .* is ahead of the partition's own row"
    ):
        await mend_rows(log.brokers, log.topics, log.partitions)
    assert (await log.rows_of(ADA))[-1] == ahead


async def test_the_partitions_own_record_is_not_made_up(log: ScoredLog) -> None:
    await log.write_row(1, PART_KEY, GARBAGE)
    with pytest.raises(CannotMendError, match="partition's own record b'00part' and cannot be read"):
        await mend_rows(log.brokers, log.topics, log.partitions)


async def test_without_the_first_records_of_the_log_no_row_is_made(log: ScoredLog, broker: Broker) -> None:
    if broker.kind == "embedded":
        pytest.skip("NOT TESTED ON THE EMBEDDED BROKER: it hangs up when asked to delete records")
    number = partition_of(ADA, log.partitions)
    await log.write_row(number, ADA, GARBAGE)
    async with admin_client(log.brokers) as admin:
        await admin.delete_records({TopicPartition(log.topics.events, number): RecordsToDelete(before_offset=3)})
    with pytest.raises(CannotMendError, match="begins at offset 3"):
        await mend_rows(log.brokers, log.topics, log.partitions)
    assert (await log.rows_of(ADA))[-1] == GARBAGE


async def test_no_row_is_made_from_a_log_that_has_lost_records(log: ScoredLog) -> None:
    number = partition_of(ADA, log.partitions)
    await log.append(CONTROL_KEY, encode("Epoch", {"epoch": 2}), number)  # as after an accepted loss
    await log.work()
    await log.write_row(number, ADA, GARBAGE)
    with pytest.raises(CannotMendError, match="is in epoch 2: it has lost records"):
        await mend_rows(log.brokers, log.topics, log.partitions)
    assert (await log.rows_of(ADA))[-1] == GARBAGE
