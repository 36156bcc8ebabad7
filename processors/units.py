"""The faded units of a row: adding, limiting and converting them.

Forward decay (Cormode, Shkapenyuk, Srivastava, Xu: "Forward Decay", ICDE 2009): a tally holds
`x = sum(units * 2^((t - ref) / h))`, so that its worth at any time T is `x * 2^(-(T - ref) / h)`. Sums commute: late
and shuffled acts give the same worth. A limited rule pays only the best acts of each window: an act that is pushed out
of its bucket is subtracted again, so that reading a row never looks into a bucket.
"""

from bisect import insort
from hashlib import blake2b
from math import exp2, inf, log2
from typing import NamedTuple

from processors.active_model import ActiveModel
from processors.calendar import DAY_MS, LONGEST_MS
from processors.model.model import CalendarUnit
from schemas.rows import Bucket, Entry, Row, Tally

LATE_MS = 7 * DAY_MS  # W: older acts come in by import
KEPT_MS = LATE_MS + DAY_MS
MAX_LIMITED_ENTRIES = 1000
REBASE_HALF_LIVES = 64
DAYS_RULE = "#days"  # active days, for RFM: an own limited rule
DAYS_HALF_LIFE_MS = 30.0 * DAY_MS


def fade(elapsed_ms: float, half_life_ms: float) -> float:
    """What is left of 1 after `elapsed_ms`; a half-life of `inf` never fades."""
    return exp2(-elapsed_ms / half_life_ms)


def rebase(row: Row, smallest_half_life_ms: float) -> None:
    """Move `ref` to row time before 2^((t - ref) / h) grows out of a double's precision."""
    if row.now - row.ref > REBASE_HALF_LIVES * smallest_half_life_ms:
        _move_ref(row)


def _move_ref(row: Row) -> None:
    for tally in row.tallies.values():
        tally.x *= fade(row.now - row.ref, tally.half_life_ms)
    row.ref = row.now


def add(row: Row, key: str, half_life_ms: float, units: float, at: int) -> Tally:
    """Add units of an act at `at` to the tally of a rule or of a `rule#tag`."""
    tally = row.tallies.get(key)
    if tally is None:
        tally = row.tallies[key] = Tally(half_life_ms)
    tally.x += units * exp2((at - row.ref) / tally.half_life_ms)
    return tally


class Payment(NamedTuple):
    """One act as a limited rule sees it."""

    rule: str
    half_life_ms: float
    times: int
    window_start: int
    slot: int
    at: int
    id8: bytes
    units: float
    weight: float
    tags: tuple[str, ...]


def slot_of(text: str) -> int:
    """Which of 256 slots a value of `by` falls into (state must be bounded)."""
    return blake2b(text.encode(), digest_size=8).digest()[0]


def pay_limited(row: Row, payment: Payment) -> Tally:
    """Put the act into its bucket, which keeps the `times` acts worth most; at equal worth the latest."""
    rule, half_life_ms, times, window_start, slot, at, id8, units, weight, tags = payment
    rank = log2(units) + (at - window_start) / half_life_ms if units > 0 else -inf
    entry: Entry = (rank, at, id8, units, weight, tags)
    buckets = row.limited.setdefault(rule, {})
    bucket = buckets.setdefault(window_start * 256 + slot, Bucket(row.now, []))
    bucket.touched = row.now
    insort(bucket.entries, entry)
    pushed_out = bucket.entries.pop(0) if len(bucket.entries) > times else None
    if pushed_out is entry:
        return add(row, rule, half_life_ms, 0.0, at)
    if pushed_out is not None:
        _pay(row, rule, half_life_ms, pushed_out, -1.0)
    else:
        row.entries += 1
    tally = _pay(row, rule, half_life_ms, entry, 1.0)
    if row.entries > MAX_LIMITED_ENTRIES:
        _, oldest, key = min((b.touched, rule, key) for rule, bs in row.limited.items() for key, b in bs.items())
        _close_bucket(row, oldest, key)
    return tally


def _pay(row: Row, rule: str, half_life_ms: float, entry: Entry, sign: float) -> Tally:
    _, at, _, units, weight, tags = entry
    for tag in tags:
        add(row, f"{rule}#{tag}", half_life_ms, sign * weight, at)
    return add(row, rule, half_life_ms, sign * units, at)


def _close_bucket(row: Row, rule: str, key: int) -> None:
    """The window is over: what it paid stays paid."""
    row.entries -= len(row.limited[rule].pop(key).entries)
    if not row.limited[rule]:
        del row.limited[rule]


def evict(row: Row, before: int, active: ActiveModel) -> None:
    """Forget what no accepted act can repeat any more; `before` is row time before the record.

    In whole days: a row is looked through once a day, and still depends on nothing but its own time.
    """
    horizon = row.now - row.now % DAY_MS - KEPT_MS
    if horizon <= before - before % DAY_MS - KEPT_MS:
        return
    row.window = {key: entry for key, entry in row.window.items() if entry[0] >= horizon}
    row.hits = sum(len(hits) for _, hits in row.window.values())
    ended = [
        (rule, key)
        for rule, buckets in row.limited.items()
        for key, bucket in buckets.items()
        if key >> 8 and max(bucket.touched, (key >> 8) + LONGEST_MS[_unit(active, rule)]) < horizon
    ]
    for rule, key in ended:
        _close_bucket(row, rule, key)


def _unit(active: ActiveModel, rule: str) -> CalendarUnit:
    """The window of a limited rule; a rule that the model no longer has, or no longer limits, counts as a month."""
    if rule == DAYS_RULE:
        return "day"
    known = active.rules.get(rule)
    return (
        known.limit.per if known is not None and known.limit is not None and known.limit.per != "lifetime" else "month"
    )


def adopt_half_lives(row: Row, active: ActiveModel) -> None:
    """Convert units whose half-life the model has changed, so that they are worth the same at row time."""
    _move_ref(row)
    for key, tally in row.tallies.items():
        rule = active.rules.get(key.partition("#")[0])
        if rule is None or rule.half_life_ms == tally.half_life_ms:
            continue
        old, new = tally.half_life_ms, rule.half_life_ms
        tally.half_life_ms = new
        for bucket_key, bucket in row.limited.get(key, {}).items():
            bucket.entries = sorted(_converted(entry, bucket_key >> 8, row.now, old, new) for entry in bucket.entries)


def _converted(entry: Entry, window_start: int, now: int, old: float, new: float) -> Entry:
    _, at, id8, units, weight, tags = entry
    # 900: a double ends at 2^1024. An act that lies further back than that is worth nothing either way.
    factor = fade(now - at, old) * exp2(min((now - at) / new, 900.0))
    units, weight = units * factor, weight * factor
    return (log2(units) + (at - window_start) / new if units > 0 else -inf, at, id8, units, weight, tags)
