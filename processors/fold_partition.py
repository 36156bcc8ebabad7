"""The state machine of one partition: every record of the log goes through `fold`, in the worker, offline and in `verify`.

A record about a lead touches that lead's row and no other; a tick fires the rows that are due; a model or an epoch
touches none. Nothing here reads a clock: time is the timestamp of the record.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import cast

from processors.active_model import FOLD_VERSION
from processors.dead_letters import Refused
from processors.lead_rows import LeadRows
from processors.model_log import ModelLog, ModelRecordError, OldFoldError
from processors.outbox import Outbox, Sent
from processors.row_store import NO_VERSION, RowStore, RowTooLargeError
from processors.snapshots import snapshot_of
from schemas.codec import Kind, UndecodableError, decode, encode, kind_of
from schemas.keys import CONTROL_KEY
from schemas.records import LogRecord, ModelActivated
from schemas.rows import ModelEntry, PartRow, UnreadableRowError, Version, pack_part, unpack_part

_META_PREFIX = b"00"  # before the keys of all leads
PART_KEY = _META_PREFIX + b"part"
MODEL_PREFIX = _META_PREFIX + b"model/"
MAX_EPOCHS = 2**31
_RETRY_MS = 3_600_000  # of a row that failed at a tick
_ABOUT_LEADS: frozenset[Kind] = frozenset({"TrackedEvent", "Feedback", "ImportedLine"})


def is_meta_key(key: bytes) -> bool:
    """Is it the key of the partition's own row, or of a model that this names?"""
    return key.startswith(_META_PREFIX)


class PartitionFold:
    """The memory of one partition.

    Args:
        topic: name of the events topic, for dead letters.
        first_model: the first activation in this partition's log and its time, for the records before it.

    Attributes:
        newest_row_offset: highest offset of a restored row version of the current epoch; -1 if there is none.
    """

    def __init__(
        self, topic: str, partition: int, partitions: int, first_model: tuple[ModelActivated, int] | None = None
    ) -> None:
        self._topic = topic
        self._partition = partition
        self.epoch = 0
        self.next_offset: int | None = None
        self.newest_row_offset = NO_VERSION[1]
        self.models = ModelLog(first_model)
        self._outbox = Outbox(topic, partition)
        self.leads = LeadRows(partition, partitions, self.models, self._outbox)
        self._meta: dict[bytes, bytes | None] = {}  # model records for the next checkpoint
        self._restored_models: dict[tuple[int, str], ModelActivated] = {}
        self._restored_part: PartRow | None = None
        self._last_checkpoint = 0

    @property
    def rows(self) -> RowStore:
        return self.leads.store

    @property
    def outcomes(self) -> Counter[str]:
        """How many records came to what, since the caller cleared it last."""
        return self._outbox.outcomes

    # --- the log ---

    def fold(self, records: Sequence[LogRecord]) -> list[Sent]:
        """Fold records in offset order; what leaves at once: transitions, dead letters, models for readers.

        Between two control records those of one lead are folded together: no row reads another one, and a row at hand
        is cheaper than one that has to be fetched from memory again.
        """
        by_lead: defaultdict[bytes | None, list[tuple[Kind, LogRecord]]] = defaultdict(list)
        for record in records:
            try:
                kind = kind_of(record.value or b"")
                if kind in _ABOUT_LEADS:
                    by_lead[record.key].append((kind, record))
                else:
                    self._fold_leads(by_lead)
                    self._outbox.outcomes[self._fold_control(kind, record)] += 1
            except (Refused, UndecodableError) as refused:
                self._outbox.refuse(record, refused)
        self._fold_leads(by_lead)
        return self._outbox.take()

    def _fold_leads(self, by_lead: dict[bytes | None, list[tuple[Kind, LogRecord]]]) -> None:
        for key, records in by_lead.items():
            self.leads.fold(key, records, self.epoch)
        by_lead.clear()

    def _fold_control(self, kind: Kind, record: LogRecord) -> str:
        match kind:
            case "Tick":
                return self._tick(record, (self.epoch, record.offset))
            case "Epoch":
                return self._take_epoch(decode(record.value or b"")[1]["epoch"])
            case "ModelActivated":
                return self._activate(record, (self.epoch, record.offset))
            case _:
                raise Refused("wrong_topic", f"{kind} has no place on the events topic")

    def _take_epoch(self, said: int) -> str:
        if said >= MAX_EPOCHS:  # the schema says `int`, which its reader does not check; no row could hold it
            raise Refused("bad_avro", f"epoch is {said}, expected a count below 2^31")
        self.epoch = max(self.epoch, said)
        return "epoch"

    def _tick(self, record: LogRecord, version: Version) -> str:
        active = self.models.in_force(version)
        later: list[tuple[bytes, int]] = []
        failed: list[str] = []
        for key in self.leads.wakeups.pop_due(record.timestamp):
            header = self.rows.header(key)
            if header is None or header.gone or active is None:
                continue
            if header.version >= version:
                later.append((key, header.wake_at))
                continue
            try:
                self.leads.fire(key, record, version, active)
            except (UnreadableRowError, RowTooLargeError, MemoryError):
                raise
            except Exception as error:  # noqa: BLE001 - as in a record's fold: the row stays as it was, the others go on
                failed.append(f"lead {key!r}: {type(error).__name__}: {error}")
                later.append((key, record.timestamp + _RETRY_MS))
        for key, wake_at in later:
            self.leads.wakeups.look_at(key, wake_at)
        if failed:
            raise Refused("fold_error", f"{len(failed)} leads did not follow this tick; {failed[0]}")
        return "tick"

    def _activate(self, record: LogRecord, version: Version) -> str:
        value = record.value or b""
        activated = cast("ModelActivated", decode(value)[1])
        try:
            if not self.models.activate(activated, version, record.timestamp):
                return "model_ignored"
        except ModelRecordError as error:
            raise Refused("bad_model", str(error)) from error
        except OldFoldError as error:
            raise OldFoldError(f"{self._topic}/{self._partition}/{record.offset}: {error}") from error
        self._meta[_model_key(self.models.entries[-1])] = value
        self.leads.wakeups.replace([(record.timestamp, key) for key in self.rows.all_keys()])
        if self._partition == 0:
            self._outbox.sent.append(Sent("ModelActivated", CONTROL_KEY, value))
        return "model"

    # --- the changelog ---

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take one changelog record, in log order.

        Raises:
            UnreadableRowError, UndecodableError: it cannot be read.
        """
        if key == PART_KEY:
            part = unpack_part(value or b"")
            before = self._restored_part
            if before is None or (part.epoch, part.next_offset) >= (before.epoch, before.next_offset):
                self._restored_part = part
        elif key.startswith(MODEL_PREFIX):
            if value is not None:
                record = cast("ModelActivated", decode(value)[1])
                self._restored_models[record["n"], record["version"]] = record
        else:
            self.rows.restore(key, value)

    def restored(self) -> None:
        """After the last `restore`: model and epoch from the partition's own row, wake-ups from the hints.

        Raises:
            UnreadableRowError: the record of a model in force is missing or unusable.
        """
        part = self._restored_part
        if part is not None:
            self.epoch, self.next_offset = part.epoch, part.next_offset
            try:
                self.models.restore(part.models, self._restored_models)
            except (KeyError, ModelRecordError) as error:
                raise UnreadableRowError(f"model of {PART_KEY!r}: {error}") from error
        newest = self.models.newest
        entries = []
        for key, header in self.rows.headers():  # one look at each row: there may be a million
            epoch, offset = header.version
            if epoch == self.epoch and offset > self.newest_row_offset:
                self.newest_row_offset = offset
            if not header.gone:
                stale = newest is not None and header.model_stamp != newest.stamp
                entries.append((newest.at if stale and newest is not None else header.wake_at, key))
        self.leads.wakeups.replace(entries)
        self._restored_models.clear()

    def take_checkpoint(self, next_offset: int) -> list[tuple[bytes, bytes | None]]:
        """The changelog records that bring the changelog to `next_offset`; the partition's own row is the last."""
        committed, self._last_checkpoint = self._last_checkpoint, next_offset
        for entry in self.models.prune((self.epoch, committed)):
            self._meta[_model_key(entry)] = None
        changed: list[tuple[bytes, bytes | None]] = list(self._meta.items())
        self._meta.clear()
        changed += self.rows.take_dirty(committed)
        self.next_offset = next_offset
        return [*changed, *self.own_row().items()]

    def own_row(self) -> dict[bytes, bytes]:
        """The partition's own row under its key; empty before the first record."""
        if self.next_offset is None:
            return {}
        return {PART_KEY: pack_part(PartRow(self.epoch, self.next_offset, FOLD_VERSION, self.models.entries))}

    def take_snapshots(self) -> list[Sent]:
        """The read model of each lead changed since the last call."""
        active = self.models.newest
        sent = []
        for key in self.leads.take_changed():
            found = self.rows.read_priced(key)
            if found is None or active is None:
                sent.append(Sent("LeadSnapshot", key, None))
            else:
                snapshot = snapshot_of(key, *found, active)
                sent.append(Sent("LeadSnapshot", key, encode("LeadSnapshot", snapshot)))
        return sent

    def wake_at_ms(self) -> int | None:
        """When time has come this far, a tick is due."""
        return self.leads.wakeups.next_at()


def _model_key(entry: ModelEntry) -> bytes:
    return MODEL_PREFIX + f"{entry.n}/{entry.hash}".encode()
