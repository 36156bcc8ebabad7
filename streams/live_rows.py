"""The rows of one partition as the changelog holds them now, and how far into the log each of them is."""

from collections.abc import Collection
from dataclasses import dataclass, field

from aiokafka import TopicPartition

from processors.fold_partition import MODEL_PREFIX, PART_KEY, PartitionFold
from processors.row_store import RowStore
from schemas.codec import UndecodableError
from schemas.rows import UnreadableRowError
from streams.brokers import Brokers
from streams.log_reader import read_log
from streams.verify_report import Difference


@dataclass(slots=True)
class LiveRows:
    """Bounds are offsets of the log (docs/fold.md 8.1): a row is compared as of its bound, records behind it are not folded.

    Attributes:
        folded_to: C of the partition's own row; 0: there is none.
        ahead: rows that know records behind C: a worker has written them, but not yet its own row.
    """

    rows: RowStore
    folded_to: int
    ahead: dict[bytes, int] = field(default_factory=dict)

    def bound(self, key: bytes) -> int:
        return self.ahead.get(key, self.folded_to - 1)

    @property
    def stop(self) -> int:
        """The offset behind the highest bound."""
        return max([self.folded_to, *(bound + 1 for bound in self.ahead.values())])


async def read_live_rows(
    brokers: Brokers, fold: PartitionFold, tp: TopicPartition, only: Collection[bytes] | None
) -> tuple[LiveRows, list[Difference]]:
    """Read the changelog partition to its true end by the rule of recovery, into a fresh `fold`.

    `only` restricts it to these leads. Second: what is wrong with the changelog itself.
    """
    found = []
    async for record in read_log(brokers, [tp]):
        key = record.key or b""
        meta = key == PART_KEY or key.startswith(MODEL_PREFIX)
        if not meta and only is not None and key not in only:
            continue
        try:
            fold.restore(key, record.value)
        except (UnreadableRowError, UndecodableError) as error:
            where = f"{tp.topic}/{tp.partition} offset {record.offset} key {key!r}"
            found.append(Difference(where, "record", f"unreadable ({error})", "a row"))
    try:
        fold.restored()
    except UnreadableRowError as error:
        found.append(Difference(f"{tp.topic}/{tp.partition}", "partition's own row", f"unusable ({error})", "usable"))
    found += [_stale(key, tp) for key, _ in fold.rows.take_dirty(0)]  # what recovery would write again
    return _bounds(fold), found


def _stale(key: bytes, tp: TopicPartition) -> Difference:
    return Difference(
        f"lead {key.decode(errors='backslashreplace')}",
        f"last record in {tp.topic}/{tp.partition}",
        "an older state, written after the newest: there was a second writer; a restart of the worker mends it",
        "the newest state",
    )


def _bounds(fold: PartitionFold) -> LiveRows:
    live = LiveRows(fold.rows, fold.next_offset or 0)
    headers = {key: header for key in fold.rows.all_keys() if (header := fold.rows.header(key)) is not None}
    epoch = max([fold.epoch, *(header.version[0] for header in headers.values())])
    for key, header in headers.items():
        if header.version[0] == epoch and header.version[1] >= live.folded_to:
            live.ahead[key] = header.version[1]
    return live
