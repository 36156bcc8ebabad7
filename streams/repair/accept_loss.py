"""Goes on from a log that has lost records, in each partition that no worker can recover because of it (docs/fold.md 7.1)."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from processors.fold_partition import PartitionFold
from schemas.codec import decode, encode
from schemas.keys import CONTROL_KEY
from streams.engine.recovery import LogBounds, LogLostError, RecoveryError, start_offset
from streams.kafka.brokers import Brokers
from streams.kafka.groups import committed_of, members_of
from streams.kafka.log_epochs import epoch_of, first_records
from streams.kafka.log_reader import log_end, log_start, read_log
from streams.kafka.provision import admin_client
from streams.kafka.send_record import RecordWriter
from streams.kafka.topics import Topics
from streams.kafka.trouble import start_client
from streams.verification.live_rows import read_live_rows


class WorkersRunError(RuntimeError):
    """Workers are members of the group, or were until a moment ago."""


class NotOfTheLogError(RuntimeError):
    """A partition cannot be recovered, but its log is whole: a new epoch would throw its state away."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Attributes:
    why: what a worker says.
    fold: the partition as the changelog has it.
    go_on_at: None: its offsets go on from an earlier one, under an epoch that the log does not have yet.
    epoch: with which the log begins; 0: its first record is gone.
    """

    tp: TopicPartition
    why: str
    fold: PartitionFold
    go_on_at: int | None
    epoch: int


async def find_losses(brokers: Brokers, topics: Topics, partitions: int) -> list[Loss]:
    """The partitions that no worker would recover, because the log has lost records.

    Raises:
        WorkersRunError, NotOfTheLogError: see there.
        LogStalledError, aiokafka.errors.KafkaError: the broker is away.
    """
    group = topics.worker_group
    events = [TopicPartition(topics.events, number) for number in range(partitions)]
    async with admin_client(brokers) as admin:
        if members := await members_of(admin, group):
            raise WorkersRunError(f"the consumer group {group} is not empty: {', '.join(each.id for each in members)}")
        committed = await committed_of(admin, group, events)
    starts, ends = await log_start(brokers, events), await log_end(brokers, events)
    epochs = {tp: epoch_of(record) for tp, record in (await first_records(brokers, ends)).items()}
    losses = []
    for tp in events:
        fold = PartitionFold(tp.topic, tp.partition, partitions)
        live, wrong = await read_live_rows(brokers, fold, TopicPartition(topics.rows, tp.partition), None)
        if live.damaged:
            raise NotOfTheLogError(str(wrong[0]))
        where, bounds = f"{tp.topic}/{tp.partition}", LogBounds(starts[tp], ends[tp], epochs.get(tp, 0))
        part = None if fold.next_offset is None else (fold.epoch, fold.next_offset)
        try:
            start_offset(where, bounds, committed.get(tp), part, fold.newest_row_offset)
        except LogLostError as error:
            losses.append(Loss(tp, str(error), fold, error.go_on_at, bounds.epoch))
        except RecoveryError as error:
            raise NotOfTheLogError(str(error)) from error
    return losses


async def accept(brokers: Brokers, topics: Topics, losses: Sequence[Loss]) -> list[Loss]:
    """Move each partition to where its fold goes on. May be repeated if it was cut short: what is left is found again.

    Where the first unread records are gone, to the first that is left. In a log that was made anew, to its beginning, under
    its own epoch. In one that was cut off, to a record that begins a new epoch at its end: rows know the
    offsets before it as those of other records. The partition's own
    row is written before the group's offset: a worker takes rows that are ahead of it, and none that are behind.

    Raises:
        aiokafka.errors.KafkaError: the broker did not take one; also if a worker has joined the group meanwhile.
    """
    accepted = []
    async with RecordWriter.open(brokers) as writer, _group_of_workers(brokers, topics) as group:
        for loss in losses:
            fold, go_on_at = loss.fold, loss.go_on_at
            fold.epoch = max(fold.epoch, loss.epoch)
            if go_on_at is None:
                fold.epoch = 1 + await _newest_epoch(brokers, topics, loss)
                epoch = encode("Epoch", {"epoch": fold.epoch})
                [go_on_at] = await writer.write([(loss.tp, CONTROL_KEY, epoch)])
            fold.next_offset = go_on_at
            rows = TopicPartition(topics.rows, loss.tp.partition)
            await writer.write([(rows, key, value) for key, value in fold.own_row().items()])
            group.assign([loss.tp])
            await group.commit({loss.tp: OffsetAndMetadata(go_on_at, "")})
            accepted.append(replace(loss, go_on_at=go_on_at))
    return accepted


async def _newest_epoch(brokers: Brokers, topics: Topics, loss: Loss) -> int:
    """Of the partition, its rows, and what sinks have been told: they pass over what is older."""
    headers = (loss.fold.rows.header(key) for key in loss.fold.rows.all_keys())
    epochs = [loss.fold.epoch, *(header.version[0] for header in headers if header is not None)]
    async for record in read_log(brokers, [TopicPartition(topics.scores, loss.tp.partition)]):
        kind, value = decode(record.value) if record.value else (None, None)
        if kind == "LeadSnapshot" and value is not None:
            epochs.append(value["epoch"])
    return max(epochs)


@asynccontextmanager
async def _group_of_workers(brokers: Brokers, topics: Topics) -> AsyncIterator[AIOKafkaConsumer]:
    """Commits for the group without joining it, which brokers allow while it has no member."""
    consumer = AIOKafkaConsumer(**brokers.client_arguments(), group_id=topics.worker_group, enable_auto_commit=False)
    try:
        await start_client(consumer, brokers)
        yield consumer
    finally:
        await consumer.stop()
