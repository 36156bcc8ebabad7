"""The rows of one partition as the changelog holds them now, and how far into the log each of them is."""

from collections.abc import Collection
from dataclasses import dataclass

from aiokafka import TopicPartition

from processors.fold_partition import MODEL_PREFIX, PartitionFold, is_meta_key
from processors.row_store import RowStore
from schemas.codec import UndecodableError
from schemas.records import LogRecord
from schemas.rows import UnreadableRowError, read_header, unpack_row
from streams.engine.unreadable import Damage, Unreadable
from streams.kafka.brokers import Brokers
from streams.kafka.log_reader import read_log
from streams.verification.bounds import Bounds, bounds_of
from streams.verification.report import Difference


@dataclass(frozen=True, slots=True)
class LiveRows:
    """Attributes:
    meta: the partition's own row, and the models that it names, as packed records by key.
    unusable: why the partition's own row does not go with the other rows; None: it does.
    """

    rows: RowStore
    bounds: Bounds
    meta: dict[bytes, bytes]
    unreadable: Unreadable
    unusable: str | None = None

    @property
    def damaged(self) -> bool:
        """Would a worker refuse to start from them?"""
        return bool(self.unreadable) or self.unusable is not None


async def read_live_rows(
    brokers: Brokers, fold: PartitionFold, tp: TopicPartition, only: Collection[bytes] | None
) -> tuple[LiveRows, list[Difference]]:
    """Read the changelog partition to its true end by the rule of recovery, into a fresh `fold`.

    `only` restricts it to these leads. Rows whose header alone can be read, which recovery leaves to the fold, are
    unreadable here. Second: what is wrong with the changelog itself; what is damaged comes first.
    """
    models: dict[bytes, bytes] = {}
    unreadable, broken = Unreadable(), dict[bytes, Damage]()
    async for record in read_log(brokers, [tp]):
        key = record.key or b""
        if not is_meta_key(key) and only is not None and key not in only:
            continue
        if not unreadable.take(record, fold.restore, (UnreadableRowError, UndecodableError)):
            continue
        if not is_meta_key(key) and fold.rows.packed(key) is record.value:  # else an older record is the newest row
            _look_inside(record, broken)
        if key.startswith(MODEL_PREFIX) and record.value is not None:
            models[key] = record.value
        elif key.startswith(MODEL_PREFIX):
            models.pop(key, None)
    unreadable.update({**broken, **unreadable})
    found = [_unreadable(tp, key, *unreadable[key]) for key in unreadable]
    unusable = None
    try:
        fold.restored()
    except UnreadableRowError as error:
        unusable = str(error)
        found.append(Difference(f"{tp.topic}/{tp.partition}", "partition's own row", f"unusable ({error})", "usable"))
    found += [_stale(key, tp) for key, _ in fold.rows.take_dirty(0)]  # what recovery would write again
    return LiveRows(fold.rows, bounds_of(fold), models | fold.own_row(), unreadable, unusable), found


def _look_inside(record: LogRecord, broken: dict[bytes, Damage]) -> None:
    """`broken`: key -> its newest row, whose body cannot be read."""
    key, value = record.key or b"", record.value
    broken.pop(key, None)
    try:
        if value is not None and not read_header(value).gone:
            unpack_row(value)
    except UnreadableRowError as error:
        broken[key] = Damage(record.offset, str(error))


def _unreadable(tp: TopicPartition, key: bytes, offset: int, why: str) -> Difference:
    return Difference(
        f"{tp.topic}/{tp.partition} offset {offset} key {key!r}", "record", f"unreadable ({why})", "a row"
    )


def _stale(key: bytes, tp: TopicPartition) -> Difference:
    return Difference(
        f"lead {key.decode(errors='backslashreplace')}",
        f"last record in {tp.topic}/{tp.partition}",
        "an older state, written after the newest: there was a second writer; a restart of the worker mends it",
        "the newest state",
    )
