"""The rows of one partition: packed, opened when touched, packed again at a checkpoint."""

from collections import Counter
from dataclasses import dataclass, field

from schemas.records import LogRecord
from schemas.rows import Header, Row, Version, pack_row, read_header, stage_of, unpack_row

MAX_OPEN_ROWS = 8192
MAX_ROW_BYTES = 256 * 1024
NO_VERSION: Version = (-1, -1)


class RowTooLargeError(RuntimeError):
    """Every part of a row is bounded, so this is a bug: the worker ends before the row is sent."""


@dataclass(slots=True)
class OpenRow:
    """A row as Python objects.

    Attributes:
        wake_at: no exit of the row, and no expiry, comes before this; made with model `model_stamp`.
        folded: the records folded since the row was packed, with their versions; with these a failed fold is undone.
    """

    row: Row
    version: Version
    wake_at: int
    model_stamp: int
    folded: list[tuple[LogRecord, Version]] = field(default_factory=list)


class RowStore:
    """A row that is open and dirty is the truth; otherwise its packed bytes are."""

    def __init__(self) -> None:
        self._packed: dict[bytes, bytes] = {}
        self._open: dict[bytes, OpenRow] = {}
        self._dirty: set[bytes] = set()
        self._gone: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._packed.keys() | self._open.keys())

    def all_keys(self) -> list[bytes]:
        """Every key, gone rows among them."""
        return list(self._packed.keys() | self._open.keys())

    def header(self, key: bytes) -> Header | None:
        opened = self._open.get(key)
        if opened is not None:
            return Header(opened.version, opened.wake_at, opened.model_stamp, gone=False)
        data = self._packed.get(key)
        return None if data is None else read_header(data)

    def version(self, key: bytes) -> Version | None:
        opened = self._open.get(key)
        if opened is not None:
            return opened.version
        data = self._packed.get(key)
        return None if data is None else read_header(data).version

    def leads_by_stage(self) -> Counter[str]:
        """How many rows are in each stage; gone rows count for none."""
        found = Counter(opened.row.stage for opened in self._open.values())
        closed = self._packed.keys() - self._open.keys() - self._gone
        found.update(stage_of(self._packed[key]) for key in closed)
        return found

    def open(self, key: bytes) -> OpenRow | None:
        """The row, to be changed. None: there is none, or it is gone."""
        opened = self._open.get(key)
        if opened is None:
            opened = self._unpack(key)
            if opened is not None:
                self._hold(key, opened)
        return opened

    def copy(self, key: bytes) -> OpenRow | None:
        """The row, to be changed without effect here."""
        if key in self._open and key in self._dirty:
            self._pack(key)
        return self._unpack(key)

    def keep(self, key: bytes, opened: OpenRow) -> None:
        """The row was changed, or is new."""
        if self._open.get(key) is not opened:
            self._hold(key, opened)
            self._gone.discard(key)
        self._dirty.add(key)

    def forget(self, key: bytes, version: Version, model_stamp: int) -> None:
        """The row is gone; its version stays until the next commit."""
        self._open.pop(key, None)
        self._packed[key] = pack_row(version, 0, model_stamp, None)
        self._dirty.add(key)
        self._gone.add(key)

    def revert(self, key: bytes) -> list[tuple[LogRecord, Version]]:
        """Drop a half-changed row; returns what has to be folded again on top of its packed bytes."""
        opened = self._open.pop(key, None)
        if opened is None or not opened.folded:
            return []
        self._dirty.discard(key)
        return opened.folded

    def restore(self, key: bytes, data: bytes | None) -> None:
        """One changelog record: the highest version wins; a winner that an older one followed is written again."""
        if data is None:
            self._packed.pop(key, None)
            self._dirty.discard(key)
            self._gone.discard(key)
            return
        header, before = read_header(data), self.header(key)
        if before is not None and before.version > header.version:
            self._dirty.add(key)
            return
        self._packed[key] = data
        self._dirty.discard(key)
        (self._gone.add if header.gone else self._gone.discard)(key)

    def take_dirty(self, committed: int) -> list[tuple[bytes, bytes | None]]:
        """Rows changed since the last call; rows gone before the committed offset leave as nulls, and memory."""
        for key in self._open.keys() & self._dirty:
            self._pack(key)
        changed: list[tuple[bytes, bytes | None]] = [(key, self._packed[key]) for key in sorted(self._dirty)]
        for key in sorted(self._gone - self._dirty):
            if read_header(self._packed[key]).version[1] < committed:
                changed.append((key, None))
                del self._packed[key]
                self._gone.discard(key)
        self._dirty.clear()
        return changed

    def packed(self, key: bytes) -> bytes | None:
        """The row as the changelog would hold it now."""
        if key in self._open and key in self._dirty:
            self._pack(key)
        return self._packed.get(key)

    def take_out(self, key: bytes) -> bytes | None:
        """The row as the changelog would hold it now; it is no longer here, as if it had never been."""
        data = self.packed(key)
        self._packed.pop(key, None)
        self._open.pop(key, None)
        self._dirty.discard(key)
        self._gone.discard(key)
        return data

    def _unpack(self, key: bytes) -> OpenRow | None:
        data = self._packed.get(key)
        if data is None:
            return None
        header = read_header(data)
        return None if header.gone else OpenRow(unpack_row(data), header.version, header.wake_at, header.model_stamp)

    def _hold(self, key: bytes, opened: OpenRow) -> None:
        if len(self._open) >= MAX_OPEN_ROWS and key not in self._open:
            self._close_all()
        self._open[key] = opened

    def _pack(self, key: bytes) -> None:
        opened = self._open[key]
        data = pack_row(opened.version, opened.wake_at, opened.model_stamp, opened.row)
        if len(data) > MAX_ROW_BYTES:
            raise RowTooLargeError(f"row {key!r}: {len(data)} bytes")
        self._packed[key] = data
        opened.folded.clear()

    def _close_all(self) -> None:
        for key in self._open.keys() & self._dirty:
            self._pack(key)
        self._open.clear()
