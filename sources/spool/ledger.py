"""What lies where in the spool, and what to do when. Pure: `sources.spool.files` does it.

Segments are numbered. Records are appended to the last one of this run and read from the first; a segment is deleted when
all of its records are acknowledged. Only what was synced is known here, so only that is read and counted.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from sources.spool.segment import MAGIC

SEGMENT_BYTES: Final = 8 * 2**20
SMALLEST_SHARE: Final = 16  # a small spool has small segments, so that draining frees its room in steps


@dataclass(slots=True)
class Segment:
    """`size` bytes hold `records` records; `damaged`: after them come bytes that are wrong, so the file is kept."""

    number: int
    size: int
    records: int
    damaged: bool = False


class Place(NamedTuple):
    number: int
    offset: int  # 0: the segment is to be made


class Unread(NamedTuple):
    """Bytes from `offset` to `end` of a segment are not acknowledged."""

    number: int
    offset: int
    end: int


class Done(NamedTuple):
    """Segments that hold nothing any more: to delete; to set aside, for a person to look at."""

    delete: list[int]
    set_aside: list[int]


class Ledger:
    """`segments`: those of earlier runs, oldest first; nothing is appended to them, as their end may be torn.
    `set_aside_bytes` lie beside them and take room, too.
    """

    def __init__(
        self, max_bytes: int, segments: Iterable[Segment] = (), *, next_number: int, set_aside_bytes: int
    ) -> None:
        self._max_bytes = max_bytes
        self._segment_bytes = min(SEGMENT_BYTES, max_bytes // SMALLEST_SHARE)
        self._segments = deque(segments)
        self._next_number = next_number
        self._set_aside_bytes = set_aside_bytes
        self._active: Segment | None = None
        self._writing = False
        self._read_to = len(MAGIC)  # of the first segment
        self.records = sum(segment.records for segment in self._segments)

    @property
    def bytes(self) -> int:
        """On the disk, acknowledged records of the first segment included."""
        return sum(segment.size for segment in self._segments) + self._set_aside_bytes

    def has_room(self, more_bytes: int) -> bool:
        return self.bytes + more_bytes + len(MAGIC) <= self._max_bytes

    # Writing

    def place(self) -> Place:
        """Where the next frames go, until `written` or `failed`. A segment is full when it has reached its size: the
        last frames may lie across it.
        """
        self._writing = True
        if self._active is None or self._active.size >= self._segment_bytes:
            return Place(self._next_number, 0)
        return Place(self._active.number, self._active.size)

    def written(self, place: Place, size: int, records: int) -> bool:
        """`size` bytes of frames are synced at `place`. False: the segment was set aside meanwhile, so they are lost."""
        self._writing = False
        if place.offset == 0:
            self._active = Segment(place.number, len(MAGIC), 0)
            self._segments.append(self._active)
            self._next_number = place.number + 1
        if self._active is None or self._active.number != place.number:
            return False
        self._active.size += size
        self._active.records += records
        self.records += records
        return True

    def failed(self, place: Place) -> None:
        """What the end of the segment holds now is not known: the next frames go to a new one."""
        self._writing = False
        self._next_number = max(self._next_number, place.number + 1)
        self._active = None

    # Reading

    def unread(self) -> Unread | None:
        """The oldest bytes that are not acknowledged; None where nothing is left."""
        for place, segment in enumerate(self._segments):
            start = self._read_to if place == 0 else len(MAGIC)
            if segment.size > start:
                return Unread(segment.number, start, segment.size)
        return None

    def acknowledged(self, unread: Unread, to: int, records: int) -> Done:
        """The records of `unread` up to the offset `to` are with the brokers."""
        done = self._drop_before(unread.number)
        self._read_to = to
        self._segments[0].records -= records
        self.records -= records
        first = self._segments[0]
        if to >= first.size and not (first is self._active and self._writing):
            done = self._drop_first(done)
        return done

    def damaged(self, unread: Unread, at: int) -> Done:
        """The bytes from `at` on cannot be read: what lies behind them is lost to us, and the file is kept."""
        done = self._drop_before(unread.number)
        first = self._segments[0]
        self.records -= first.records
        first.records, first.damaged = 0, True
        if first is self._active:
            self._active = None
        self._read_to = at
        return self._drop_first(done)

    def _drop_before(self, number: int) -> Done:
        done = Done([], [])
        while self._segments[0].number != number:
            done = self._drop_first(done)
        return done

    def _drop_first(self, done: Done) -> Done:
        first = self._segments.popleft()
        self._read_to = len(MAGIC)
        if first is self._active:
            self._active = None
        if first.damaged:
            self._set_aside_bytes += first.size
        (done.set_aside if first.damaged else done.delete).append(first.number)
        return done
