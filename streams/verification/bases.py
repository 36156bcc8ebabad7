"""Bases on disk: the rows of every partition as a verification found them, from which the next one folds on (docs/fold.md 8).

One SQLite file each, named by its time, readable by its owner alone: it holds what the rows hold.
"""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path

from processors.fold_partition import PartitionFold, is_meta_key
from schemas.codec import UndecodableError
from schemas.rows import UnreadableRowError
from streams.verification.drafts import draft_of
from streams.verification.live_rows import LiveRows

KEPT = 7
"""So many bases stay in a directory, the newest of each day (UTC): a week, however often a day it is verified."""

_DAY_LENGTH = len("20260302")
_NAMES = "[0-9]" * _DAY_LENGTH + "T*"
_FORMAT = 1
_TABLES = f"""
PRAGMA journal_mode = OFF;
PRAGMA user_version = {_FORMAT};
CREATE TABLE base (events TEXT, partitions INTEGER, taken_at_ms INTEGER, trusted_at_ms INTEGER);
CREATE TABLE part (
    number INTEGER PRIMARY KEY, epoch INTEGER, folded_to INTEGER, transitions_from INTEGER, digest BLOB
);
CREATE TABLE record (number INTEGER, key BLOB, value BLOB, PRIMARY KEY (number, key)) WITHOUT ROWID;
"""


class BaseError(RuntimeError):
    """A file is no base, is damaged, or is of other topics. The message names it and says what to do."""


@dataclass(frozen=True, slots=True)
class Base:
    """Attributes:
    taken_at_ms: when it was begun; it knows nothing that was appended to the log later.
    trusted_at_ms: what the rows held then was taken on trust; None: all of it was folded from the first record on.
    folded_to: partition -> offset of the events topic behind which the fold goes on.
    epochs: partition -> epoch of its own row; 0: there was none.
    """

    path: Path
    taken_at_ms: int
    trusted_at_ms: int | None
    folded_to: Mapping[int, int]
    epochs: Mapping[int, int]

    def restore(self, number: int, fold: PartitionFold, only: Collection[bytes] | None) -> int:
        """Bring a fresh fold of a partition to where the base is; the offset from which its transitions are read.

        `only` restricts it to these leads.

        Raises:
            BaseError: it is damaged.
        """
        digest = blake2b(digest_size=32)
        try:
            with closing(_connect(self.path)) as connection:
                found = connection.execute("SELECT transitions_from, digest FROM part WHERE number = ?", (number,))
                transitions_from, wanted = found.fetchone()
                for key, value in connection.execute(
                    "SELECT key, value FROM record WHERE number = ? ORDER BY key", (number,)
                ):
                    _add(digest, key, value)
                    if only is None or key in only or is_meta_key(key):
                        fold.restore(key, value)
            fold.restored()
        except (sqlite3.Error, TypeError, UnreadableRowError, UndecodableError) as error:
            if not self.path.exists():
                raise BaseError(
                    f"{self.path} was removed by another verification, which left a newer one: run it again"
                ) from error
            raise _damaged(self.path, f"partition {number}: {error}") from error
        if digest.digest() != wanted:
            raise _damaged(self.path, f"partition {number} has other bytes than were written")
        return int(transitions_from)


class BaseWriter:
    """A base that is being made; `keep` makes it one."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self.path = path
        self.kept = False

    def add(self, number: int, live: LiveRows, transitions_from: int) -> None:
        """Take a partition. The rows are as they were read."""
        digest = blake2b(digest_size=32)
        records = ((number, *record) for record in _digested(_records(live), digest))
        self._connection.executemany("INSERT INTO record VALUES (?, ?, ?)", records)
        part = (number, live.bounds.epoch, live.bounds.folded_to, transitions_from, digest.digest())
        self._connection.execute("INSERT INTO part VALUES (?, ?, ?, ?, ?)", part)

    def keep(self, *, trusted_at_ms: int | None) -> None:
        """Every partition is in it, and the verification that ends at it found nothing, or it is taken on trust."""
        self._connection.execute("UPDATE base SET trusted_at_ms = ?", (trusted_at_ms,))
        self.kept = True


@dataclass(frozen=True, slots=True)
class Bases:
    """A directory of bases of one deployment.

    Args:
        events: name of the events topic, which has so many `partitions`.
    """

    directory: Path
    events: str
    partitions: int

    def newest(self, not_after_ms: int | None = None) -> Base | None:
        """The newest base, or the newest that is not younger than `not_after_ms` (UTC). Only that one is opened.

        Raises:
            BaseError: it cannot be used.
        """
        paths = self._paths()
        if not_after_ms is not None:
            paths = [path for path in paths if path.name <= _name(not_after_ms)]
        return self._open(paths[0]) if paths else None

    @contextmanager
    def begin(self, now_ms: int) -> Iterator[BaseWriter]:
        """A new base. Unless it is kept, nothing remains of it; if it is, those that `KEPT` does not count are removed.

        Until it ends the directory is this run's: no other removes what it reads.

        Raises:
            BaseError: another run has the directory, or the disk does not take it.
        """
        path = self.directory / _name(now_ms)
        with ExitStack() as stack:
            try:
                draft = stack.enter_context(draft_of(path, _NAMES))
            except BlockingIOError as error:
                raise BaseError(
                    f"another verification uses {self.directory}: wait until it has ended, or name another directory"
                ) from error
            except OSError as error:
                where = f"{error.filename or path} cannot be written ({error.strerror})"
                raise BaseError(f"{where}: name another directory") from error
            try:
                with closing(sqlite3.connect(draft)) as connection:
                    connection.executescript(_TABLES)
                    connection.execute(
                        "INSERT INTO base VALUES (?, ?, ?, NULL)", (self.events, self.partitions, now_ms)
                    )
                    writer = BaseWriter(connection, path)
                    yield writer
                    connection.commit()
            except sqlite3.Error as error:
                raise BaseError(f"{draft} cannot be written ({error}): make room, or name another directory") from error
            if writer.kept:
                draft.replace(path)
                self._remove_old()

    def _paths(self) -> list[Path]:
        """Of the bases, the newest first."""
        return sorted(self.directory.glob(f"{_NAMES}.base"), reverse=True)

    def _remove_old(self) -> None:
        paths, newest = self._paths(), dict[str, Path]()
        for path in paths:
            newest.setdefault(path.name[:_DAY_LENGTH], path)
        for old in set(paths) - set(list(newest.values())[:KEPT]):
            old.unlink(missing_ok=True)

    def _open(self, path: Path) -> Base:
        try:
            with closing(_connect(path)) as connection:
                (version,) = connection.execute("PRAGMA user_version").fetchone()
                if version != _FORMAT:
                    raise _damaged(path, f"its format is {version}, this build reads {_FORMAT}")
                events, partitions, taken_at_ms, trusted_at_ms = connection.execute("SELECT * FROM base").fetchone()
                folded_to = dict(connection.execute("SELECT number, folded_to FROM part"))
                epochs = dict(connection.execute("SELECT number, epoch FROM part"))
        except (sqlite3.Error, TypeError, ValueError) as error:
            raise _damaged(path, str(error)) from error
        if (events, partitions) != (self.events, self.partitions):
            raise BaseError(
                f"{path} is a base of {events} with {partitions} partitions, not of {self.events} with "
                f"{self.partitions}: use another directory for each deployment"
            )
        return Base(path, taken_at_ms, trusted_at_ms, folded_to, epochs)


def _name(at_ms: int) -> str:
    """Of the base that was taken then. Names sort as times do, and begin with the day."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y%m%dT%H%M%S.%f}.base"


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def _damaged(path: Path, what: str) -> BaseError:
    return BaseError(f"{path} cannot be used as a base ({what}): delete it, and the one before it is taken")


def _records(live: LiveRows) -> Iterable[tuple[bytes, bytes]]:
    yield from sorted(live.meta.items())  # their keys come before those of leads
    for key in sorted(live.rows.all_keys()):
        if (packed := live.rows.packed(key)) is not None:
            yield key, packed


def _digested(records: Iterable[tuple[bytes, bytes]], digest: blake2b) -> Iterator[tuple[bytes, bytes]]:
    for key, value in records:
        _add(digest, key, value)
        yield key, value


def _add(digest: blake2b, key: bytes, value: bytes) -> None:
    digest.update(len(key).to_bytes(4))
    digest.update(key)
    digest.update(len(value).to_bytes(4))
    digest.update(value)
