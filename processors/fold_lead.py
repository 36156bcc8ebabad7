"""One record about one lead, folded into its row."""

from typing import Any, Literal, cast

from processors.active_model import ActiveModel
from processors.advance import advance, settle, take_feedback
from processors.moves import Cause, subject_of
from processors.take_traits import cut, take_traits
from processors.touches import take_touch
from processors.units import DAYS, LATE_MS, pay, pay_limited, rebase, slot_of
from processors.window import evict, refusal, remember_act
from schemas.codec import HEADER_BYTES, Kind, UndecodableError, decode, decode_json_event
from schemas.keys import id8
from schemas.projection import MalformedError
from schemas.records import Feedback, ImportedLine, TrackedEvent
from schemas.rows import Hit as KeptHit
from schemas.rows import Row

MAX_FENCES = 256
MAX_SOURCE_BYTES = 256  # of its name
MAX_EVENT_ID_BYTES = 256
VISIT_PAUSE_MS = 30 * 60_000

Outcome = Literal["folded", "foreign_host", "bot", "late", "duplicate", "flood", "fenced", "no_such_word"]
CHANGED: frozenset[Outcome] = frozenset({"folded", "foreign_host", "no_such_word"})


class SourceError(ValueError):
    """A 257th source of numbered records for one lead, or one with an endless name."""


def new_row(at: int, active: ActiveModel) -> Row:
    return Row(now=at, stage=active.first_stage.id, entered_at=at, model_stamp=active.stamp, ref=at)


def fold_record(kind: Kind, value: bytes, row: Row, cause: Cause, active: ActiveModel) -> Outcome:
    """Fold an encoded `TrackedEvent`, `Feedback` or `ImportedLine`.

    Raises:
        UndecodableError: it cannot be read; the row is as it was.
    """
    if kind == "TrackedEvent":
        event: Any  # a projection is a plain dictionary, of a TrackedEvent's fields
        try:
            event = decode_json_event(value) if value[:1] == b"{" else active.project(value, HEADER_BYTES)
        except MalformedError as error:
            raise UndecodableError("bad_avro", str(error)) from error
        return fold_event(row, event, cause, active)
    record = decode(value)[1]
    if kind == "Feedback":
        return fold_feedback(row, cast("Feedback", record), cause, active)
    return fold_line(row, cast("ImportedLine", record), cause, active)


def fold_event(row: Row, event: TrackedEvent, cause: Cause, active: ActiveModel) -> Outcome:
    """Fold one act. Any outcome that is not in `CHANGED` leaves the row as it was."""
    if event["flags"]["bot"]:
        return "bot"
    _name_act(event, cause, event["event_id"] or f"{cause.version[0]}/{cause.version[1]}")
    if cause.act_at < cause.logged_at - LATE_MS:
        return "late"
    refused = refusal(row, cause.id8, cause.logged_at)
    if refused is not None:
        return refused
    advance(row, cause.logged_at, cause, active)
    outcome, kept = _take_act(row, event, cause, active)
    remember_act(row, cause.id8, cause.act_at, kept)
    evict(row, active)
    settle(row, cause, active)
    return outcome


def fold_line(row: Row, line: ImportedLine, cause: Cause, active: ActiveModel) -> Outcome:
    """Fold an act older than the accepted window; imports number their lines, so none counts twice."""
    event = line["event"]
    if event["flags"]["bot"]:
        return "bot"
    if not _pass_fence(row, f"import {line['import_id']}", line["line"]):
        return "fenced"
    _name_act(event, cause, event["event_id"] or f"{line['import_id']}/{line['line']}")
    advance(row, cause.logged_at, cause, active)
    outcome, _ = _take_act(row, event, cause, active)
    evict(row, active)
    settle(row, cause, active)
    return outcome


def fold_feedback(row: Row, feedback: Feedback, cause: Cause, active: ActiveModel) -> Outcome:
    """Fold an answer of sales: the stage that lists the word, from anywhere, and no other move.

    A word that no stage lists still fences the older answers about its object.
    """
    if not _pass_fence(row, f"{feedback['system']}/{feedback['object']}", feedback["version"]):
        return "fenced"
    to = active.stage_by_feedback.get(feedback["word"])
    if to is None:
        return "no_such_word"
    cause.silent = feedback["silent"]
    advance(row, cause.logged_at, cause, active)
    if row.stage != to.id:
        take_feedback(row, to, cause, active)
    evict(row, active)
    return "folded"


def _name_act(event: TrackedEvent, cause: Cause, event_id: str) -> None:
    """Which act this is, and when it happened: never after the record that tells of it."""
    cause.event, cause.event_id, cause.id8 = event, cut(event_id, MAX_EVENT_ID_BYTES), id8(event_id)
    occurred_at, logged_at = event["occurred_at"], cause.logged_at
    cause.act_at = logged_at if occurred_at is None or occurred_at > logged_at else occurred_at


def _pass_fence(row: Row, source: str, number: int) -> bool:
    """True for the first record of a source, and for each with a larger number than all before."""
    highest = row.fences.get(source)
    if highest is not None and number <= highest:
        return False
    if highest is None and len(row.fences) >= MAX_FENCES:
        raise SourceError(f"{source}: a lead takes numbered records of {MAX_FENCES} sources at most")
    if highest is None and len(source.encode()) > MAX_SOURCE_BYTES:
        raise SourceError(f"{source[:60]}...: the name of a source has {MAX_SOURCE_BYTES} bytes at most")
    row.fences[source] = number
    return True


def _take_act(row: Row, event: TrackedEvent, cause: Cause, active: ActiveModel) -> tuple[Outcome, tuple[KeptHit, ...]]:
    at = cause.act_at
    hits, foreign = active.matcher.match(event, at)
    rebase(row, active.smallest_half_life_ms)
    kept: tuple[KeptHit, ...] = ()
    activity = False
    for rule, n, weight, tags, by, tag_keys in hits:
        limited, units = active.limited.get(rule.id), n * weight
        if limited is not None:
            bucket_key = active.calendar.window_start_ms(at, limited.unit) * 256
            if limited.by_value:
                bucket_key += slot_of(by)
            tally = pay_limited(row, limited, bucket_key, (at, cause.id8, units, weight, tags), tag_keys)
        else:
            tally = pay(row, rule.id, rule.half_life_ms, units, weight, tag_keys, at)
            kept = (*kept, (rule.id, units, weight, tags))
        tally.count += 1
        if at > tally.last_at or (at == tally.last_at and cause.event_id > tally.last_id):
            tally.last_at, tally.last_id, tally.subject = at, cause.event_id, subject_of(event)
        activity = activity or rule.activity
        if rule.points < 0:
            cause.wake_at = 0  # only a penalty brings an exit nearer
    if activity:
        _count_activity(row, cause, active)
    take_traits(row, event, at, cause.id8)
    take_touch(row, event, at, cause.id8)
    _count_visit(row, at)
    cause.hits = hits
    return ("foreign_host" if foreign else "folded"), kept


def _count_activity(row: Row, cause: Cause, active: ActiveModel) -> None:
    """The lead did something: inactivity starts anew, and the day is active (for RFM: a rule of its own, once a day)."""
    at = cause.act_at
    if row.last_at is None:
        cause.wake_at = 0  # from now on inactivity may count
        row.last_at = at
    elif at > row.last_at:
        row.last_at = at
    start = active.calendar.window_start_ms(at, DAYS.unit)
    pay_limited(row, DAYS, start * 256, (at, cause.id8, 1, 1, ()), ())


def _count_visit(row: Row, at: int) -> None:
    """A visit begins with an act after half an hour without one (an act that arrives late may count none)."""
    if row.first_at is None or at < row.first_at:
        row.first_at = at
    if at > row.seen_at:
        if at > row.seen_at + VISIT_PAUSE_MS:
            row.visits += 1
        row.seen_at = at
