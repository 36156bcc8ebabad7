"""The models that the log of a partition has activated, and which one is in force where."""

import zlib
from collections.abc import Mapping
from functools import lru_cache

from processors.active_model import FOLD_VERSION, ActiveModel
from processors.model import ScoringModel, read_model
from schemas.records import ModelActivated
from schemas.rows import ModelEntry, Version

MAX_MODEL_BYTES = 1024 * 1024
MAX_MODELS = 2**31


class ModelRecordError(ValueError):
    """A `ModelActivated` record that cannot be used; the model before it stays."""


class OldFoldError(RuntimeError):
    """A model was activated for a newer fold than this build has."""


def pack_model(text: str) -> bytes:
    return zlib.compress(text.encode())


def model_activated(text: str, n: int, *, notify: bool = False) -> ModelActivated:
    """The record that activates a model file.

    Raises:
        ModelRecordError: it is no model.
    """
    body = pack_model(text)
    model = read_model_record(body)
    return ModelActivated(
        n=n, version=model.version, name=model.name, fold_version=FOLD_VERSION, notify=notify, body=body
    )


def unpack_model(body: bytes) -> str:
    """The model file.

    Raises:
        ModelRecordError: not zlib, over 1 MiB, or not UTF-8.
    """
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(body, MAX_MODEL_BYTES + 1)
        if len(data) > MAX_MODEL_BYTES or not unpacker.eof:
            raise ModelRecordError("the body is cut off, or is over 1 MiB when unpacked")
        return data.decode()
    except (zlib.error, UnicodeDecodeError) as error:
        raise ModelRecordError(str(error)) from error


@lru_cache(maxsize=8)
def read_model_record(body: bytes) -> ScoringModel:
    """The model of a record; partitions of one worker share it.

    Raises:
        ModelRecordError: it cannot be unpacked, or is no model.
    """
    text = unpack_model(body)
    try:
        return read_model(text)
    except ValueError as error:
        raise ModelRecordError(str(error)) from error


class ModelLog:
    """The activations of one partition. Of two the larger (n, hash) wins; a smaller one later in the log is ignored.

    Records before the first activation are folded by it (`first`: its record and time, found by reading ahead).
    """

    def __init__(self, first: tuple[ModelActivated, int] | None) -> None:
        self.entries: list[ModelEntry] = []
        self._first = None if first is None else _foldable(*first)
        self._active: dict[tuple[int, str], ActiveModel] = {}
        self.newest = self._first

    def restore(self, entries: list[ModelEntry], records: Mapping[tuple[int, str], ModelActivated]) -> None:
        """Take the entries of the partition's own row.

        Raises:
            KeyError: (n, hash) of an entry whose record is missing.
            ModelRecordError: a record cannot be read.
            OldFoldError: a record is for a newer fold.
        """
        self.entries = list(entries)
        for entry in entries:
            self._load(entry, records[entry.n, entry.hash])

    def activate(self, record: ModelActivated, version: Version, at: int) -> bool:
        """Take a record of the log; False for one that is not newer than the model in force.

        Raises:
            ModelRecordError: it cannot be used.
            OldFoldError: it is for a newer fold.
        """
        if self.entries and (record["n"], record["version"]) <= (self.entries[-1].n, self.entries[-1].hash):
            return False
        if not 0 <= record["n"] < MAX_MODELS:
            raise ModelRecordError(f"n is {record['n']}, expected a count below 2^31")
        entry = ModelEntry(version, at, record["n"], record["version"])
        self._load(entry, record)
        self.entries.append(entry)
        return True

    def _load(self, entry: ModelEntry, record: ModelActivated) -> None:
        self.newest = self._active[entry.n, entry.hash] = _foldable(record, entry.at)

    def in_force(self, version: Version) -> ActiveModel | None:
        """The model of a record: the newest entry at or before it, else the first of the log."""
        entries = self.entries
        if entries and entries[-1].version <= version:  # nearly always
            return self.newest
        older = (entry for entry in reversed(entries) if entry.version <= version)
        found = next(older, None)
        return self._first if found is None else self._active[found.n, found.hash]

    def prune(self, committed: Version) -> list[ModelEntry]:
        """Drop, and return, what no record from the committed offset on can need."""
        gone = []
        while len(self.entries) > 1 and self.entries[1].version < committed:
            gone.append(self.entries.pop(0))
            del self._active[gone[-1].n, gone[-1].hash]
        return gone


def active_of(record: ModelActivated, at: int = 0) -> ActiveModel:
    """The model of a record; `at`: its time, which nothing but the fold asks for.

    Raises:
        ModelRecordError: it cannot be read.
    """
    model = read_model_record(record["body"])
    return ActiveModel(model, record["n"], at, notify=record["notify"], fold_version=record["fold_version"])


def _foldable(record: ModelActivated, at: int) -> ActiveModel:
    if record["fold_version"] > FOLD_VERSION:
        raise OldFoldError(
            f"model {record['name']} (activation {record['n']}) is for fold version {record['fold_version']}, this build "
            f"has {FOLD_VERSION}. Upgrade leadstream and start again."
        )
    return active_of(record, at)
