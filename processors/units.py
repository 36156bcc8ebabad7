"""The faded units of a row: adding, limiting and converting them.

Forward decay (Cormode, Shkapenyuk, Srivastava, Xu: "Forward Decay", ICDE 2009): a tally holds
`x = sum(units * 2^((t - ref) / h))`, so that its worth at any time T is `x * 2^(-(T - ref) / h)`. Sums commute: late
and shuffled acts give the same worth. A limited rule pays only the best acts of each window: an act that is pushed out
of its bucket is subtracted again, so that reading a row never looks into a bucket.
"""

from bisect import insort
from hashlib import blake2b
from math import exp2, inf, log2

from processors.active_model import ActiveModel, Limited
from processors.calendar import DAY_MS, LONGEST_MS
from schemas.rows import Bucket, Entry, Row, Tally

LATE_MS = 7 * DAY_MS  # W: older acts come in by import
KEPT_MS = LATE_MS + DAY_MS
MAX_LIMITED_ENTRIES = 1000
REBASE_HALF_LIVES = 64
DAYS_RULE = "#days"  # active days, for RFM: an own limited rule
DAYS_HALF_LIFE_MS = 30.0 * DAY_MS


DAYS = Limited(DAYS_RULE, DAYS_HALF_LIFE_MS, 1)


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


def slot_of(text: str) -> int:
    """Which of 256 slots a value of `by` falls into (state must be bounded)."""
    return blake2b(text.encode(), digest_size=8).digest()[0]


def rank_of(units: float, since_window_ms: int, half_life_ms: float) -> float:
    """Orders the acts of a window by what they are worth at any one later time; units of 0 come last."""
    return log2(units) + since_window_ms / half_life_ms if units > 0 else -inf


def pay_limited(row: Row, rule: Limited, bucket_key: int, entry: Entry) -> Tally:
    """Put the act into its bucket, which keeps the `times` acts worth most; at equal worth the latest."""
    buckets = row.limited.get(rule.id)
    if buckets is None:
        buckets = row.limited[rule.id] = {}
    bucket = buckets.get(bucket_key)
    if bucket is None:
        bucket = buckets[bucket_key] = Bucket(row.now, [])
    bucket.touched = row.now
    entries = bucket.entries
    insort(entries, entry)
    if len(entries) <= rule.times:
        row.entries += 1
        if row.entries > MAX_LIMITED_ENTRIES:
            _, oldest, key = min((b.touched, rule, key) for rule, bs in row.limited.items() for key, b in bs.items())
            _close_bucket(row, oldest, key)
        return _pay(row, rule, entry, 1.0)
    pushed_out = entries.pop(0)
    if pushed_out is entry:
        return add(row, rule.id, rule.half_life_ms, 0.0, entry[1])
    _pay(row, rule, pushed_out, -1.0)
    return _pay(row, rule, entry, 1.0)


def _pay(row: Row, rule: Limited, entry: Entry, sign: float) -> Tally:
    _, at, _, units, weight, tags = entry
    for tag in tags:
        add(row, f"{rule.id}#{tag}", rule.half_life_ms, sign * weight, at)
    return add(row, rule.id, rule.half_life_ms, sign * units, at)


def _close_bucket(row: Row, rule: str, key: int) -> None:
    """The window is over: what it paid stays paid."""
    buckets = row.limited[rule]
    row.entries -= len(buckets.pop(key).entries)
    if not buckets:
        del row.limited[rule]


def evict(row: Row, before: int, active: ActiveModel) -> None:
    """Forget what no accepted act can repeat any more; `before` is row time before the record.

    Once a day of row time, and from the front only: acts and windows come in nearly in order, so an entry that arrived
    late stays until those before it go. The row still depends on nothing but its own records.
    """
    horizon = row.now - row.now % DAY_MS - KEPT_MS
    if horizon <= before - before % DAY_MS - KEPT_MS:
        return
    window = row.window
    while window and window[oldest := next(iter(window))][0] < horizon:
        row.hits -= len(window.pop(oldest)[1])
    for rule, buckets in list(row.limited.items()):
        longest = active.longest_window_ms.get(rule, LONGEST_MS["month"]) if rule != DAYS_RULE else LONGEST_MS["day"]
        for key in list(buckets):
            start = key >> 8  # 0: the window of a lifetime
            if start == 0 or max(buckets[key].touched, start + longest) >= horizon:
                break
            _close_bucket(row, rule, key)


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
    return (rank_of(units, at - window_start, new), at, id8, units, weight, tags)
