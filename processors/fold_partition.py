"""The state machine of one partition: every record of the log goes through `fold`, in the worker, offline and in `verify`.

A record about a lead touches that lead's row and no other; a tick fires the rows that are due; a model or an epoch
touches none. Nothing here reads a clock: time is the timestamp of the record.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple, cast

from processors.active_model import ActiveModel
from processors.advance import advance
from processors.dead_letters import Refused, dead_letter
from processors.expiry import earliest_expiry, expires_at
from processors.fold_lead import CHANGED, Outcome, fold_record, new_row
from processors.model_log import FOLD_VERSION, ModelLog, ModelRecordError
from processors.moves import Cause
from processors.next_exit import next_look
from processors.row_store import NO_VERSION, OpenRow, RowStore, RowTooLargeError
from processors.snapshots import snapshot_of
from processors.wakeups import WakeUps
from processors.window import evict
from schemas.codec import Kind, UndecodableError, decode, encode, kind_of
from schemas.keys import CONTROL_KEY, is_lead_key, partition_of
from schemas.records import LogRecord, ModelActivated
from schemas.rows import NEVER_MS, ModelEntry, PartRow, Row, UnreadableRowError, Version, pack_part, unpack_part

PART_KEY = b"00part"
MODEL_PREFIX = b"00model/"
_ABOUT_LEADS: frozenset[Kind] = frozenset({"TrackedEvent", "Feedback", "ImportedLine"})


class Sent(NamedTuple):
    """A record that leaves the fold, for the topic of its kind. `value` None: the lead is forgotten."""

    kind: Kind
    key: bytes
    value: bytes | None


class OldFoldError(RuntimeError):
    """The log was written for a newer fold than this build has."""


class PartitionFold:
    """The memory of one partition.

    Args:
        topic: name of the events topic, for dead letters.
        first_model: the first activation in this partition's log and its time, for the records before it.
    """

    def __init__(
        self, topic: str, partition: int, partitions: int, first_model: tuple[ModelActivated, int] | None = None
    ) -> None:
        self._topic = topic
        self._partition = partition
        self._partitions = partitions
        self.epoch = 0
        self.next_offset: int | None = None
        self.rows = RowStore()
        self.models = ModelLog(first_model)
        self.outcomes: Counter[str] = Counter()
        self._wakeups = WakeUps()
        self._sent: list[Sent] = []
        self._changed: dict[bytes, None] = {}  # an ordered set
        self._meta: dict[bytes, bytes | None] = {}  # model records for the next checkpoint
        self._restored_models: dict[tuple[int, str], ModelActivated] = {}
        self._restored_part: PartRow | None = None
        self._last_checkpoint = 0

    # --- the log ---

    def fold(self, records: Sequence[LogRecord]) -> list[Sent]:
        """Fold records in offset order; what leaves at once: transitions, dead letters, models for readers."""
        for record in records:
            try:
                kind = kind_of(record.value or b"")
                outcome = self._fold_lead(kind, record) if kind in _ABOUT_LEADS else self._fold_control(kind, record)
            except (Refused, UndecodableError) as refused:
                outcome = refused.reason
                letter = dead_letter(record, self._topic, self._partition, refused.reason, refused.detail)
                self._sent.append(Sent("DeadLetter", record.key or CONTROL_KEY, letter))
            self.outcomes[outcome] += 1
        sent, self._sent = self._sent, []
        return sent

    def _fold_control(self, kind: Kind, record: LogRecord) -> str:
        match kind:
            case "Tick":
                return self._tick(record, (self.epoch, record.offset))
            case "Epoch":
                self.epoch = max(self.epoch, decode(record.value or b"")[1]["epoch"])
                return "epoch"
            case "ModelActivated":
                return self._activate(record, (self.epoch, record.offset))
            case _:
                raise Refused("wrong_topic", f"{kind} has no place on the events topic")

    def _fold_lead(self, kind: Kind, record: LogRecord) -> str:
        key, version = record.key, (self.epoch, record.offset)
        newest = self.rows.version(key) if key is not None else None
        if key is None or newest is None:
            key = self._checked_key(key)
        elif version <= newest:
            return "replayed"
        try:
            return self._change_row(kind, record, version)
        except (Refused, UndecodableError, UnreadableRowError, RowTooLargeError):
            raise
        # Whatever a record trips over, the others go on, and the record is kept whole.
        except Exception as error:
            self._undo(key)
            raise Refused("fold_error", f"{type(error).__name__}: {error}") from error

    def _checked_key(self, key: bytes | None) -> bytes:
        """The key of a lead that is new here."""
        if key is None or not is_lead_key(key):
            raise Refused("bad_key", f"{key!r} is not the key of a lead")
        home = partition_of(key, self._partitions)
        if home != self._partition:
            raise Refused("wrong_partition", f"{key!r} belongs into partition {home} of {self._partitions}")
        return key

    def _change_row(self, kind: Kind, record: LogRecord, version: Version) -> Outcome:
        key = record.key or b""
        active = self.models.in_force(version)
        if active is None:
            raise Refused("bad_model", "no model was ever activated; run: leadstream model activate FILE")
        opened = self.rows.open(key)
        if opened is None:
            opened = OpenRow(new_row(record.timestamp, active), NO_VERSION, 0, active.stamp)
        cause = Cause(key, version, record.timestamp, opened.wake_at if opened.model_stamp == active.stamp else 0)
        outcome = fold_record(kind, record.value or b"", opened.row, cause, active)
        only_fence = kind == "Feedback" and opened.version == NO_VERSION and not cause.transitions  # makes no row
        if outcome in CHANGED and not only_fence:
            self._keep(opened, cause, active)
            opened.folded.append((record, version))  # last: what fails is not folded again when it is undone
        return outcome

    def _undo(self, key: bytes) -> None:
        """Bring the row back to what it was before the record that failed."""
        sent = len(self._sent)
        for earlier, version in self.rows.revert(key):
            self._change_row(kind_of(earlier.value or b""), earlier, version)
        del self._sent[sent:]  # what they emit was emitted when they were folded first
        self.rows.packed(key)  # so that the next failure has nothing to fold again

    def _keep(self, opened: OpenRow, cause: Cause, active: ActiveModel) -> None:
        key, sent = cause.key, self._told(cause) if cause.transitions else ()
        if cause.wake_at <= opened.row.now:
            opened.wake_at = _wake_at(opened.row, active)
            self._wakeups.look_at(key, opened.wake_at)
        opened.version, opened.model_stamp = cause.version, active.stamp
        self.rows.keep(key, opened)
        self._changed[key] = None
        self._sent += sent

    def _told(self, cause: Cause) -> list[Sent]:
        return [Sent("StageTransition", cause.key, encode("StageTransition", told)) for told in cause.transitions]

    def _tick(self, record: LogRecord, version: Version) -> str:
        active = self.models.in_force(version)
        ahead = []
        for key in self._wakeups.pop_due(record.timestamp):
            header = self.rows.header(key)
            if header is None or header.gone or active is None:
                continue
            if header.version >= version:
                ahead.append((key, header.wake_at))
            else:
                self._fire(key, record, version, active)
        for key, wake_at in ahead:
            self._wakeups.look_at(key, wake_at)
        return "tick"

    def _fire(self, key: bytes, record: LogRecord, version: Version, active: ActiveModel) -> None:
        opened = self.rows.copy(key)
        if opened is None:
            return
        row, now = opened.row, record.timestamp
        cause = Cause(key, version, now)
        advance(row, now, cause, active)
        if cause.transitions:
            evict(row, active)
            self._keep(opened, cause, active)
            self.rows.packed(key)  # what a tick did is not among the records that undo a failed fold
            return
        # Only a row in the first stage expires, and that stage has no exit.
        expires = earliest_expiry(row, active) <= now
        wake_at = expires_at(row, active) if expires else _wake_at(row, active)
        if expires and wake_at <= now:
            self.rows.forget(key, version, active.stamp)
            self._changed[key] = None
        else:
            self._wakeups.look_at(key, max(wake_at, now + 1))

    def _activate(self, record: LogRecord, version: Version) -> str:
        value = record.value or b""
        activated = cast("ModelActivated", decode(value)[1])
        if activated["fold_version"] > FOLD_VERSION:
            raise OldFoldError(
                f"{self._topic}/{self._partition}/{record.offset} activates a model for fold version "
                f"{activated['fold_version']}, this build has {FOLD_VERSION}. Upgrade leadstream and start again."
            )
        try:
            if not self.models.activate(activated, version, record.timestamp):
                return "model_ignored"
        except ModelRecordError as error:
            raise Refused("bad_model", str(error)) from error
        self._meta[_model_key(self.models.entries[-1])] = value
        self._wakeups.replace([(record.timestamp, key) for key in self.rows.all_keys()])
        if self._partition == 0:
            self._sent.append(Sent("ModelActivated", CONTROL_KEY, value))
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
        for key in self.rows.all_keys():
            header = self.rows.header(key)
            if header is not None and not header.gone:
                stale = newest is not None and header.model_stamp != newest.stamp
                entries.append((newest.at if stale and newest is not None else header.wake_at, key))
        self._wakeups.replace(entries)
        self._restored_models.clear()

    @property
    def newest_row_offset(self) -> int:
        """Highest offset of a row version of the current epoch; -1 if there is none."""
        versions = (header.version for key in self.rows.all_keys() if (header := self.rows.header(key)))
        return max((offset for epoch, offset in versions if epoch == self.epoch), default=NO_VERSION[1])

    def take_checkpoint(self, next_offset: int) -> list[tuple[bytes, bytes | None]]:
        """The changelog records that bring the changelog to `next_offset`; the partition's own row is the last."""
        committed, self._last_checkpoint = self._last_checkpoint, next_offset
        for entry in self.models.prune((self.epoch, committed)):
            self._meta[_model_key(entry)] = None
        changed: list[tuple[bytes, bytes | None]] = list(self._meta.items())
        self._meta.clear()
        changed += self.rows.take_dirty(committed)
        self.next_offset = next_offset
        part = PartRow(self.epoch, next_offset, FOLD_VERSION, self.models.entries)
        return [*changed, (PART_KEY, pack_part(part))]

    def take_snapshots(self) -> list[Sent]:
        """The read model of each lead changed since the last call."""
        active = self.models.newest
        sent = []
        for key in self._changed:
            opened = self.rows.open(key)
            if opened is None or active is None:
                sent.append(Sent("LeadSnapshot", key, None))
            else:
                snapshot = snapshot_of(key, opened.row, opened.version, active)
                sent.append(Sent("LeadSnapshot", key, encode("LeadSnapshot", snapshot)))
        self._changed.clear()
        return sent

    def wake_at_ms(self) -> int | None:
        """When time has come this far, a tick is due."""
        return self._wakeups.next_at()


def _wake_at(row: Row, active: ActiveModel) -> int:
    """A hint: never late, may be early."""
    stage = active.model.stages[active.stage_index[row.stage]]
    exit_at = next_look(row, stage, active) if stage.owner == "score" and stage.exit else NEVER_MS
    return min(exit_at, earliest_expiry(row, active))


def _model_key(entry: ModelEntry) -> bytes:
    return MODEL_PREFIX + f"{entry.n}/{entry.hash}".encode()
