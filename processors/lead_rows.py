"""The rows of a partition: changed by the records of their leads and by ticks, one row at a time."""

from collections.abc import Sequence

from processors.active_model import ActiveModel
from processors.advance import advance
from processors.dead_letters import Refused
from processors.expiry import earliest_expiry, expires_at
from processors.fold_lead import CHANGED, Outcome, fold_record, new_row
from processors.model_log import ModelLog
from processors.moves import Cause
from processors.next_exit import next_look
from processors.outbox import Outbox, Sent, told
from processors.row_store import NO_VERSION, OpenRow, RowStore
from processors.wakeups import WakeUps
from processors.window import evict
from schemas.codec import Kind, UndecodableError
from schemas.keys import is_lead_key, partition_of
from schemas.records import LogRecord
from schemas.rows import NEVER_MS, Row, UnreadableRowError, Version

Folded = tuple[Kind, LogRecord, Version]  # a record that changed its row


class LeadRows:
    """The rows, when to look at them again, and which of them changed since `take_changed`."""

    def __init__(self, partition: int, partitions: int, models: ModelLog, outbox: Outbox) -> None:
        self._partition = partition
        self._partitions = partitions
        self._models = models
        self._outbox = outbox
        self._changed: dict[bytes, None] = {}  # an ordered set
        self.store = RowStore()
        self.wakeups = WakeUps()

    def take_changed(self) -> list[bytes]:
        """The keys of the rows that changed since the last call."""
        changed, self._changed = self._changed, {}
        return list(changed)

    def fold(self, key: bytes | None, records: Sequence[tuple[Kind, LogRecord]], epoch: int) -> None:
        """Fold the records of one lead, in offset order; what the row has seen before is not folded again."""
        header = self.store.header(key) if key is not None else None
        newest = None if header is None else header.version
        opened: OpenRow | None = None
        folded: list[Folded] = []
        for kind, record in records:
            version = (epoch, record.offset)
            if newest is not None and version <= newest:
                self._outbox.outcomes["replayed"] += 1
                continue
            try:
                if key is None or newest is None:
                    key, newest = self._checked_key(key), NO_VERSION
                active = self._in_force(version)
                if opened is None or opened.version == NO_VERSION:
                    opened = self._opened(key, record, active)
                outcome = self._fold_one(kind, record, opened, Cause(key, version, record.timestamp), active)
                self._outbox.outcomes[outcome] += 1
                if opened.version == version:  # it changed the row
                    newest = version
                    folded.append((kind, record, version))
            except (Refused, UndecodableError) as refused:
                self._outbox.refuse(record, refused)
            except (UnreadableRowError, MemoryError):
                raise  # no fault of the record: the worker ends, and the next one folds it
            except Exception as error:  # noqa: BLE001 - whatever it trips over: it is kept whole, the others go on
                self._outbox.refuse(record, Refused("fold_error", f"{type(error).__name__}: {error}"))
                if key is not None:
                    self._fold_again(key, folded)
                opened = None
        if folded and opened is not None and key is not None:
            self._write(key, opened)

    def fire(self, key: bytes, record: LogRecord, version: Version, active: ActiveModel) -> None:
        """Let the time of a tick pass for a row that is due."""
        opened = self.store.read(key)
        if opened is None:
            return
        row, now = opened.row, record.timestamp
        cause = Cause(key, version, now)
        advance(row, now, cause, active)
        if cause.transitions:
            evict(row, active)
            self._outbox.sent += self._settled(opened, cause, active)
            self._write(key, opened)
            return
        # Only a row in the first stage expires, and that stage has no exit.
        expires = earliest_expiry(row, active) <= now
        wake_at = expires_at(row, active) if expires else _wake_at(row, active)
        if expires and wake_at <= now:
            self.store.forget(key, version, active.stamp)
            self._changed[key] = None
        else:
            self.wakeups.look_at(key, max(wake_at, now + 1))

    def _checked_key(self, key: bytes | None) -> bytes:
        """The key of a lead that is new here."""
        if key is None or not is_lead_key(key):
            raise Refused("bad_key", f"{key!r} is not the key of a lead")
        home = partition_of(key, self._partitions)
        if home != self._partition:
            raise Refused("wrong_partition", f"{key!r} belongs into partition {home} of {self._partitions}")
        return key

    def _in_force(self, version: Version) -> ActiveModel:
        active = self._models.in_force(version)
        if active is None:
            raise Refused("bad_model", "no model was ever activated; run: leadstream model activate FILE")
        return active

    def _opened(self, key: bytes, record: LogRecord, active: ActiveModel) -> OpenRow:
        """The row, or a new one, which begins with its first record."""
        opened = self.store.read(key)
        return OpenRow(new_row(record.timestamp, active), NO_VERSION, 0, active.stamp) if opened is None else opened

    def _fold_one(self, kind: Kind, record: LogRecord, opened: OpenRow, cause: Cause, active: ActiveModel) -> Outcome:
        if opened.model_stamp == active.stamp:
            cause.wake_at = opened.wake_at
        outcome = fold_record(kind, record.value or b"", opened.row, cause, active)
        only_fence = kind == "Feedback" and opened.version == NO_VERSION and not cause.transitions  # makes no row
        if outcome in CHANGED and not only_fence:
            self._outbox.sent += self._settled(opened, cause, active)
        return outcome

    def _settled(self, opened: OpenRow, cause: Cause, active: ActiveModel) -> list[Sent]:
        """The row is as its record leaves it; returns what there is to tell."""
        sent = told(cause) if cause.transitions else []
        if cause.wake_at <= opened.row.now:
            opened.wake_at = _wake_at(opened.row, active)
            self.wakeups.look_at(cause.key, opened.wake_at)
        opened.version, opened.model_stamp = cause.version, active.stamp
        return sent

    def _write(self, key: bytes, opened: OpenRow) -> None:
        self.store.write(key, opened)
        self._changed[key] = None

    def _fold_again(self, key: bytes, folded: list[Folded]) -> None:
        """A record failed and left its row half changed: write what those before it made of the row."""
        sent = len(self._outbox.sent)
        opened: OpenRow | None = None
        for kind, record, version in folded:
            active = self._in_force(version)
            opened = opened or self._opened(key, record, active)
            self._fold_one(kind, record, opened, Cause(key, version, record.timestamp), active)
        del self._outbox.sent[sent:]  # what they emit was emitted when they were folded first
        if opened is not None:
            self._write(key, opened)
        folded.clear()


def _wake_at(row: Row, active: ActiveModel) -> int:
    """A hint: never late, may be early."""
    stage = active.model.stages[active.stage_index[row.stage]]
    exit_at = next_look(row, stage, active) if stage.owner == "score" and stage.exit else NEVER_MS
    return min(exit_at, earliest_expiry(row, active))
