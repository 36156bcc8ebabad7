"""A small product for the engine: counts events per key, and says so at every 10th."""

import struct
import time
from collections.abc import Sequence

from schemas.keys import CONTROL_KEY
from schemas.records import LogRecord
from streams.engine.state import CorruptRowError, Output

PART = b"00part"
ROW = struct.Struct("<qq")  # count, offset of the last counted record
OFFSET = struct.Struct("<q")
EVERY = 10


class ToyState:
    """Rows with versions, as docs/fold.md wants them, without epochs, models and scores."""

    def __init__(
        self,
        transitions_topic: str,
        snapshots_topic: str | None = None,
        *,
        fold_seconds: float = 0.0,
        wake_after_ms: int | None = None,
        fails_at_count: int | None = None,
    ) -> None:
        self._transitions_topic = transitions_topic
        self._snapshots_topic = snapshots_topic
        self._fold_seconds = fold_seconds
        self._wake_after_ms = wake_after_ms
        self._fails_at_count = fails_at_count
        self.counts: dict[bytes, tuple[int, int]] = {}
        self.ticks: list[int] = []
        self._dirty: set[bytes] = set()
        self._changed: set[bytes] = set()
        self._last_at_ms: int | None = None
        self._part: int | None = None

    def restore(self, key: bytes, value: bytes | None) -> None:
        try:
            if key == PART:
                (offset,) = OFFSET.unpack(value or b"")
                self._part = max(offset, self._part or 0)
            elif value is None:
                self.counts.pop(key, None)
            else:
                count, offset = ROW.unpack(value)
                beaten = self.counts.get(key)
                if beaten is not None and beaten[1] > offset:
                    self._dirty.add(key)
                else:
                    self.counts[key] = (count, offset)
                    self._dirty.discard(key)
        except struct.error as error:
            raise CorruptRowError(str(error)) from error

    def restored(self) -> None: ...

    @property
    def next_offset(self) -> int | None:
        return self._part

    @property
    def epoch(self) -> int:
        return 0

    @property
    def newest_row_offset(self) -> int:
        return max((offset for _, offset in self.counts.values()), default=-1)

    def fold(self, records: Sequence[LogRecord]) -> list[Output]:
        outputs: list[Output] = []
        counts, dirty = self.counts, self._dirty
        if self._fold_seconds:
            time.sleep(self._fold_seconds * len(records))
        for record in records:
            key, offset = record.key, record.offset
            if key is None:
                continue
            if key == CONTROL_KEY:
                self.ticks.append(record.timestamp)
                self._last_at_ms = None
                continue
            count, seen = counts.get(key, (0, -1))
            if offset <= seen:
                continue
            count += 1
            if count == self._fails_at_count:
                raise RuntimeError("a bug in the fold")
            counts[key] = (count, offset)
            dirty.add(key)
            if count % EVERY == 0:
                outputs.append(transition(self._transitions_topic, key, offset, count))
            self._last_at_ms = record.timestamp
        if self._snapshots_topic:
            self._changed.update(record.key for record in records if record.key and record.key != CONTROL_KEY)
        return outputs

    def take_snapshots(self) -> list[Output]:
        topic = self._snapshots_topic
        if topic is None:
            return []
        changed, self._changed = self._changed, set()
        return [Output(topic, key, ROW.pack(*self.counts[key])) for key in changed]

    def take_checkpoint(self, next_offset: int) -> list[tuple[bytes, bytes | None]]:
        dirty, self._dirty = self._dirty, set()
        rows: list[tuple[bytes, bytes | None]] = [(key, ROW.pack(*self.counts[key])) for key in dirty]
        return [*rows, (PART, OFFSET.pack(next_offset))]

    def wake_at_ms(self) -> int | None:
        if self._wake_after_ms is None or self._last_at_ms is None:
            return None
        return self._last_at_ms + self._wake_after_ms


def transition(topic: str, key: bytes, offset: int, count: int) -> Output:
    """Its id is the causing record; the same record gives the same bytes."""
    return Output(topic, key, b"%s:%d:%d" % (key, offset, count))
