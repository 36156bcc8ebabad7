"""Rows of the changelog that cannot be read, made anew from the log: it alone knows what they have to be."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiokafka import TopicPartition

from processors.fold_partition import PartitionFold, is_meta_key
from schemas.rows import UnreadableRowError, read_header
from streams.kafka.brokers import Brokers
from streams.kafka.log_epochs import epoch_of, first_records, why_not_whole
from streams.kafka.log_reader import log_end, log_start, read_log
from streams.kafka.send_record import RecordWriter
from streams.kafka.topics import Topics
from streams.model_records import FirstModels, first_models
from streams.verification.live_rows import LiveRows, read_live_rows
from streams.verification.replay import concerns_all


class CannotMendError(RuntimeError):
    """The row cannot be made anew. The message says which and what to do."""


@dataclass(frozen=True, slots=True)
class MendedRow:
    """`offset` of the changelog `partition` holds a record of `key` that cannot be read, for the reason `why`. `is_row`: the
    log gives a row for the key; else it is no lead's, and a deletion stands in.
    """

    partition: int
    offset: int
    key: str
    why: str
    is_row: bool


async def mend_rows(brokers: Brokers, topics: Topics, partitions: int, *, dry_run: bool = False) -> list[MendedRow]:
    """Write, behind each record that cannot be read, what the log up to the partition's own row gives for its key.

    Nothing but these keys is folded again, so nothing is told twice. May be repeated. A worker that owns such a partition
    sees another writer and ends; its next start reads what is written here.

    Raises:
        CannotMendError: the record is the partition's own, or is ahead of it, or the log has lost its first records. What
            other partitions needed may be written.
        LogStalledError, aiokafka.errors.KafkaError: the broker is away.
        OldFoldError: the log was written for a newer fold.
    """
    models = await first_models(brokers, topics, partitions)
    mended = []
    for number in range(partitions):
        fold = _fresh(topics, number, partitions, models)
        live, _ = await read_live_rows(brokers, fold, TopicPartition(topics.rows, number), None)
        if not live.unreadable:
            continue
        rows = await _rows_of_log(brokers, topics, _fresh(topics, number, partitions, models), number, live)
        _require_that_they_win(TopicPartition(topics.rows, number), rows, live)
        if not dry_run:
            async with RecordWriter.open(brokers) as writer:
                await writer.write([(TopicPartition(topics.rows, number), key, row) for key, row in rows.items()])
        mended += [_mended(number, key, *live.unreadable[key], rows) for key in rows]
    return mended


async def _rows_of_log(
    brokers: Brokers, topics: Topics, fold: PartitionFold, number: int, live: LiveRows
) -> dict[bytes, bytes | None]:
    events = TopicPartition(topics.events, number)
    for key, (offset, why) in live.unreadable.items():
        if is_meta_key(key):
            raise CannotMendError(
                f"{topics.rows}/{number} offset {offset} is the partition's own record {key!r} and cannot be read: {why}. "
                "Without it nobody knows how far the log is folded: rebuild the rows, see docs/runbook.md"
            )
    begin = (await log_start(brokers, [events]))[events]
    first = await first_records(brokers, await log_end(brokers, [events]))
    epoch = max([live.bounds.epoch, *map(epoch_of, first.values())])
    if lost := why_not_whole(events, begin, epoch):
        raise CannotMendError(
            f"{lost}. Without them the rows of {', '.join(map(repr, live.unreadable))} cannot be made anew: restore them "
            "from a backup"
        )
    async for record in read_log(brokers, [events], start={events: 0}, stop={events: live.bounds.folded_to}):
        if record.key in live.unreadable or concerns_all(record):
            fold.fold([record])
    return {key: fold.rows.packed(key) for key in live.unreadable}


def _require_that_they_win(tp: TopicPartition, rows: Mapping[bytes, bytes | None], live: LiveRows) -> None:
    """The highest version wins. A row that a worker wrote before it died may be ahead of the partition's own row."""
    for key, row in rows.items():
        before = live.rows.header(key)
        if (
            row is not None
            and before is not None
            and before.version > read_header(row).version
            and _is_damaged(live, key)
        ):
            raise CannotMendError(
                f"{tp.topic}/{tp.partition} offset {live.unreadable[key].offset} key {key!r} cannot be read "
                f"({live.unreadable[key].why}) and is ahead of the partition's own row: rebuild the rows, see docs/runbook.md"
            )


def _is_damaged(live: LiveRows, key: bytes) -> bool:
    try:
        live.rows.read(key)
    except UnreadableRowError:
        return True
    return False


def _mended(number: int, key: bytes, offset: int, why: str, rows: Mapping[bytes, bytes | None]) -> MendedRow:
    return MendedRow(number, offset, key.decode(errors="backslashreplace"), why, rows[key] is not None)


def _fresh(topics: Topics, number: int, partitions: int, models: FirstModels) -> PartitionFold:
    return PartitionFold(topics.events, number, partitions, models.get(number))
