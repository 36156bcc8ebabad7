"""The rows of one partition, packed: a row is opened for as long as the records of its lead are folded.

An open row is many small objects all over memory. To find them again later costs more than to unpack the row, which is
one piece, so none is kept open.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from schemas.rows import (
    Header,
    PricedRow,
    Row,
    UnreadableRowError,
    Version,
    pack_row,
    read_header,
    stage_of,
    unpack_priced,
    unpack_row,
)

MAX_ROW_BYTES = 256 * 1024
NO_VERSION: Version = (-1, -1)


class RowTooLargeError(RuntimeError):
    """Every part of a row is bounded, so this is a bug: the worker ends before the row is sent."""


@dataclass(slots=True)
class OpenRow:
    """A row as Python objects.

    Attributes:
        wake_at: no exit of the row, and no expiry, comes before this; made with model `model_stamp`.
    """

    row: Row
    version: Version
    wake_at: int
    model_stamp: int


class RowStore:
    """Rows by key; `dirty` since the last `take_dirty`, or `gone`."""

    def __init__(self) -> None:
        self._packed: dict[bytes, bytes] = {}
        self._dirty: set[bytes] = set()
        self._gone: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._packed)

    def all_keys(self) -> list[bytes]:
        """Every key, gone rows among them."""
        return list(self._packed)

    def headers(self) -> Iterator[tuple[bytes, Header]]:
        """Every key with the header of its row, gone rows among them."""
        return ((key, read_header(data)) for key, data in self._packed.items())

    def header(self, key: bytes) -> Header | None:
        data = self._packed.get(key)
        return None if data is None else read_header(data)

    def packed(self, key: bytes) -> bytes | None:
        """The row as the changelog would hold it now."""
        return self._packed.get(key)

    def leads_by_stage(self) -> Counter[str]:
        """How many rows are in each stage; gone rows count for none. `unreadable`: rows that cannot be read."""
        return Counter(_stage(self._packed[key]) for key in self._packed.keys() - self._gone)

    def read(self, key: bytes) -> OpenRow | None:
        """A copy of the row. None: there is none, or it is gone.

        Raises:
            UnreadableRowError: the bytes are no row; says whose.
        """
        header = self.header(key)
        if header is None or header.gone:
            return None
        try:
            row = unpack_row(self._packed[key])
        except UnreadableRowError as error:
            raise UnreadableRowError(f"row {key!r}: {error}") from error
        return OpenRow(row, header.version, header.wake_at, header.model_stamp)

    def read_priced(self, key: bytes) -> tuple[PricedRow, Version] | None:
        """As `read`, but only what a price is made of, and the version of the row."""
        header = self.header(key)
        return None if header is None or header.gone else (unpack_priced(self._packed[key]), header.version)

    def write(self, key: bytes, opened: OpenRow) -> None:
        """The row was changed, or is new.

        Raises:
            RowTooLargeError: nothing is written.
        """
        data = pack_row(opened.version, opened.wake_at, opened.model_stamp, opened.row)
        if len(data) > MAX_ROW_BYTES:
            raise RowTooLargeError(f"row {key!r}: {len(data)} bytes")
        self._packed[key] = data
        self._dirty.add(key)
        self._gone.discard(key)

    def forget(self, key: bytes, version: Version, model_stamp: int) -> None:
        """The row is gone; its version stays until the next commit."""
        self._packed[key] = pack_row(version, 0, model_stamp, None)
        self._dirty.add(key)
        self._gone.add(key)

    def restore(self, key: bytes, data: bytes | None) -> None:
        """One changelog record: the highest version wins; a winner that an older one followed is written again."""
        if data is None:
            self.take_out(key)
            return
        header, before = read_header(data), self._packed.get(key)
        if before is not None:
            if read_header(before).version > header.version:
                self._dirty.add(key)
                return
            self._dirty.discard(key)
            self._gone.discard(key)
        self._packed[key] = data
        if header.gone:
            self._gone.add(key)

    def take_dirty(self, committed: int) -> list[tuple[bytes, bytes | None]]:
        """Rows changed since the last call; rows gone before the committed offset leave as nulls, and memory."""
        changed: list[tuple[bytes, bytes | None]] = [(key, self._packed[key]) for key in sorted(self._dirty)]
        for key in sorted(self._gone - self._dirty):
            if read_header(self._packed[key]).version[1] < committed:
                changed.append((key, None))
                del self._packed[key]
                self._gone.discard(key)
        self._dirty.clear()
        return changed

    def take_out(self, key: bytes) -> bytes | None:
        """The row as the changelog would hold it now; it is no longer here, as if it had never been."""
        self._dirty.discard(key)
        self._gone.discard(key)
        return self._packed.pop(key, None)


def _stage(data: bytes) -> str:
    try:
        return stage_of(data)
    except UnreadableRowError:
        return "unreadable"
