"""The spool's directory: segments that are appended to, read and deleted. Blocking calls, for threads."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from sources.spool.ledger import Place, Segment
from sources.spool.segment import MAGIC, read_frames

SUFFIX: Final = ".spool"
SET_ASIDE_SUFFIX: Final = ".damaged"
sync: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)  # macOS has the second only


class Found(NamedTuple):
    """What an earlier run has left."""

    segments: list[Segment]
    oldest_ms: int | None
    next_number: int
    set_aside_bytes: int


class SpoolFiles:
    """One process at a time owns the directory.

    Raises, from each method:
        OSError: the disk is full, read-only or broken.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock: int | None = None
        self._active: tuple[int, int] | None = None  # number and descriptor

    def open(self) -> Found:
        """Take the directory, made if it is missing, and look through what is there.

        Raises:
            BlockingIOError: another process has it.
        """
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sync_directory(self._directory.parent)
        self._lock = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        numbers = sorted(int(path.stem) for path in self._directory.glob(f"*{SUFFIX}"))
        segments: list[Segment] = []
        oldest_ms: int | None = None
        for number in numbers:
            segment, first_ms = self._look_through(number)
            if segment is not None:
                segments.append(segment)
                oldest_ms = first_ms if oldest_ms is None else oldest_ms
        set_aside = list(self._directory.glob(f"*{SET_ASIDE_SUFFIX}"))
        taken = [*numbers, *(int(path.stem) for path in set_aside)]
        return Found(segments, oldest_ms, max(taken, default=0) + 1, sum(path.stat().st_size for path in set_aside))

    def close(self) -> None:
        self._close_active()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def append(self, place: Place, frames: list[bytes]) -> None:
        """Write and sync. After an error what lies behind `place` is undone as far as the disk allows."""
        try:
            descriptor = self._descriptor(place)
            data = b"".join([MAGIC, *frames] if place.offset == 0 else frames)
            while data:
                data = data[os.write(descriptor, data) :]
            sync(descriptor)
            if place.offset == 0:
                _sync_directory(self._directory)
        except OSError:
            self._undo(place)
            raise

    def read(self, number: int, offset: int, size: int) -> bytes:
        with self._path(number).open("rb") as file:
            file.seek(offset)
            return file.read(size)

    def delete(self, number: int) -> None:
        """Not synced: a segment that comes back after a power failure is sent again, which does no harm."""
        if self._active is not None and self._active[0] == number:
            self._close_active()
        self._path(number).unlink(missing_ok=True)

    def set_aside(self, number: int) -> None:
        self._path(number).rename(self._path(number).with_suffix(SET_ASIDE_SUFFIX))

    def _look_through(self, number: int) -> tuple[Segment | None, int]:
        """The segment, with the time of its first record; None and deleted or set aside where it holds none."""
        data = self._path(number).read_bytes()
        if not MAGIC.startswith(data[: len(MAGIC)]) and any(data):
            self.set_aside(number)
            return None, 0
        found = read_frames(data, len(MAGIC))
        damaged = found.after == "damaged"
        if found.records:
            return Segment(number, found.end, len(found.records), damaged), found.records[0].at_ms
        if damaged:
            self.set_aside(number)
        else:
            self.delete(number)
        return None, 0

    def _descriptor(self, place: Place) -> int:
        if self._active is None or self._active[0] != place.number:
            self._close_active()
            # Truncated: a start of it may be there, from an attempt that failed.
            flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | (os.O_CREAT | os.O_TRUNC if place.offset == 0 else 0)
            self._active = (place.number, os.open(self._path(place.number), flags, 0o600))
        return self._active[1]

    def _undo(self, place: Place) -> None:
        self._close_active()
        try:
            if place.offset == 0:
                self._path(place.number).unlink(missing_ok=True)
            else:
                os.truncate(self._path(place.number), place.offset)
        except OSError:
            return  # the records are then sent although their senders were told that they are not kept

    def _close_active(self) -> None:
        if self._active is not None:
            os.close(self._active[1])
            self._active = None

    def _path(self, number: int) -> Path:
        return self._directory / f"{number:016d}{SUFFIX}"


def _sync_directory(directory: Path) -> None:
    """So that the names in it last."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
