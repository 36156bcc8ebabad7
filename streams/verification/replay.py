"""Folds one partition's log again and compares what comes out with what a worker wrote: docs/fold.md 8."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import cast

from aiokafka import ConsumerRecord

from processors.fold_lead import CHANGED
from processors.fold_partition import PartitionFold
from processors.row_differences import compare_rows
from processors.row_store import RowStore
from processors.units import KEPT_MS
from schemas.codec import HEADER_BYTES, SCHEMAS, UndecodableError, decode, decode_json_event, kind_of
from schemas.projection import compile_projection
from schemas.records import StageTransition
from streams.verification.bounds import Span
from streams.verification.report import Difference, VerifyReport

_CONTROL = frozenset({"Tick", "Epoch", "ModelActivated"})
_DROPPED = frozenset({"bot", "late", "duplicate", "flood", "fenced", "no_such_word"})
_event_id = compile_projection(SCHEMAS["TrackedEvent"], {"event_id", "occurred_at"})


def concerns_all(record: ConsumerRecord) -> bool:
    """Is it of those that every fold of the partition needs, whichever leads it is about?"""
    return _kind(record.value) in _CONTROL


@dataclass(frozen=True, slots=True)
class ExpectedLetter:
    """`at_ms`: the time of the record that it is of."""

    reason: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class ExpectedLetters:
    """The dead letters that the log of one partition gives, by id.

    Attributes:
        span: the records whose letters must be there.
        newest_ms: the time of the newest record that was looked at.
    """

    span: Span
    letters: Mapping[str, ExpectedLetter]
    newest_ms: int


class Replay:
    """Takes the records of one partition from `span.base.folded_to` on, in offset order, then `finish`.

    Args:
        fold: holds the rows of the base; told the partition's first model.
        live: the rows to compare with; they are taken out of it.
        on_transition: called with each transition that the log gives, and its bytes.
        only: restricts it to these leads.
    """

    def __init__(
        self,
        fold: PartitionFold,
        live: RowStore,
        span: Span,
        report: VerifyReport,
        *,
        on_transition: Callable[[StageTransition, bytes], None],
        only: Collection[bytes] | None,
    ) -> None:
        self._fold = fold
        self._live = live
        self._span = span
        self._report = report
        self._on_transition = on_transition
        self._only = only
        self._due = sorted(((bound, key) for key, bound in span.live.ahead.items()), reverse=True)
        self._common_compared = False
        self._counted = _CountedOnce()
        self._letters: dict[str, ExpectedLetter] = {}
        self._newest_ms = 0

    def take(self, record: ConsumerRecord) -> None:
        self._compare_before(record.offset)
        self._report.records += 1
        self._newest_ms = max(self._newest_ms, record.timestamp)
        if not concerns_all(record) and self._skips(record):
            return
        self._fold.outcomes.clear()
        sent = self._fold.fold([record])
        [outcome] = self._fold.outcomes
        if _kind(record.value) == "TrackedEvent":
            self._count(record, outcome)
        for one in sent:
            if one.kind == "StageTransition" and one.value is not None:
                self._on_transition(cast("StageTransition", decode(one.value)[1]), one.value)
            elif one.kind == "DeadLetter" and one.value is not None and self._span.covers(record.key, record.offset):
                letter = decode(one.value)[1]
                self._letters[letter["id"]] = ExpectedLetter(letter["reason"], record.timestamp)

    def finish(self) -> ExpectedLetters:
        self._compare_before(None)
        return ExpectedLetters(self._span, self._letters, self._newest_ms)

    def _skips(self, record: ConsumerRecord) -> bool:
        """Is the record outside the span of its lead, or of a lead that nobody asked about?"""
        return (self._only is not None and record.key not in self._only) or not self._span.covers(
            record.key, record.offset
        )

    def _count(self, record: ConsumerRecord, outcome: str) -> None:
        self._report.accepted += 1
        if outcome in CHANGED:
            self._report.scored += 1
            if self._counted.again(record):
                self._report.counted_twice += 1
                where = f"{record.topic}/{record.partition} offset {record.offset}"
                self._report.differences.append(Difference(where, "repeated event", "counted again", "counted again"))
        elif outcome in _DROPPED:
            self._report.dropped[outcome] = self._report.dropped.get(outcome, 0) + 1

    def _compare_before(self, offset: int | None) -> None:
        """Compare, and let go of, every row whose bound lies before `offset` (None: all)."""
        if not self._common_compared and (offset is None or offset >= self._span.live.folded_to):
            self._common_compared = True
            keys = {*self._fold.rows.all_keys(), *self._live.all_keys()}
            for key in sorted(keys - self._span.live.ahead.keys()):
                self._compare(key)
        while self._due and (offset is None or self._due[-1][0] < offset):
            self._compare(self._due.pop()[1])

    def _compare(self, key: bytes) -> None:
        live, replayed = self._live.take_out(key), self._fold.rows.take_out(key)
        result = compare_rows(live, replayed)
        where = f"lead {key.decode(errors='backslashreplace')}"
        self._report.leads += 1
        self._report.unequal_leads += bool(result.differences)
        self._report.lost += result.lost
        self._report.counted_twice += result.counted_twice
        self._report.differences += [Difference(where, *difference) for difference in result.differences]


@dataclass(slots=True)
class _CountedOnce:
    """Which events counted, within the time in which the fold must know a repeat. Independent of the fold's window."""

    _acts: dict[bytes, int] = field(default_factory=dict)
    _latest: int = 0
    _tidy_at: int = 10_000

    def again(self, record: ConsumerRecord) -> bool:
        """Take an event that the fold counted; True if it must have been known as a repeat."""
        event_id, act_at = _identity(record)
        if not event_id:
            return False
        self._latest = max(self._latest, record.timestamp)
        name = blake2b(b"%s|%s" % (record.key, event_id.encode()), digest_size=12).digest()
        before = self._acts.get(name)
        self._acts[name] = act_at
        if len(self._acts) > self._tidy_at:
            self._acts = {name: at for name, at in self._acts.items() if at >= self._latest - KEPT_MS}
            self._tidy_at = 2 * len(self._acts) + 10_000
        return before is not None and before >= self._latest - KEPT_MS


def _identity(record: ConsumerRecord) -> tuple[str, int]:
    """(event id, time of the act) of an event that the fold could read."""
    value = record.value
    event = decode_json_event(value) if value[:1] == b"{" else _event_id(value, HEADER_BYTES)
    occurred_at = event["occurred_at"]
    return event["event_id"], record.timestamp if occurred_at is None else min(occurred_at, record.timestamp)


def _kind(value: bytes | None) -> str | None:
    try:
        return kind_of(value or b"")
    except UndecodableError:
        return None
