"""The faded units of a row: adding and limiting them.

Forward decay (Cormode, Shkapenyuk, Srivastava, Xu: "Forward Decay", ICDE 2009): a tally holds
`x = sum(units * 2^((t - ref) / h))`, so that its worth at any time T is `x * 2^(-(T - ref) / h)`. Sums commute: late
and shuffled acts give the same worth. A limited rule pays only the best acts of each window: an act that is pushed out
of its bucket is subtracted again, so that reading a row never looks into a bucket.
"""

from bisect import insort
from collections.abc import Callable
from hashlib import blake2b
from math import exp2, inf, log2
from typing import NamedTuple

from processors.calendar import DAY_MS, LONGEST_MS
from processors.model.model import CalendarUnit, Rule
from schemas.rows import Bucket, Entry, Number, Row, Tally

LATE_MS = 7 * DAY_MS  # W: older acts come in by import
KEPT_MS = LATE_MS + DAY_MS  # an act is remembered for so long, and a window after its end
MAX_LIMITED_ENTRIES = 1000  # acts and their tags
REBASE_HALF_LIVES = 64
DAYS_RULE = "#days"  # active days, for RFM: an own limited rule


class Limited(NamedTuple):
    """What a bucket knows of its rule."""

    id: str
    half_life_ms: Number
    times: int
    unit: CalendarUnit
    by_value: bool  # each value of a field has buckets of its own
    longest_ms: int  # that a window can be; 0: no window ends


DAYS = Limited(DAYS_RULE, 30 * DAY_MS, 1, "day", by_value=False, longest_ms=LONGEST_MS["day"])


def limited_of(rule: Rule) -> Limited | None:
    limit = rule.limit
    if limit is None:
        return None
    longest_ms = LONGEST_MS.get(limit.per, 0)
    return Limited(rule.id, rule.half_life_ms, limit.times, limit.per, limit.by is not None, longest_ms)


def fade(elapsed_ms: float, half_life_ms: float) -> float:
    """What is left of 1 after `elapsed_ms`; a half-life of `inf` never fades."""
    return exp2(-elapsed_ms / half_life_ms)


def rebase(row: Row, smallest_half_life_ms: float) -> None:
    """Move `ref` to row time before 2^((t - ref) / h) grows out of a double's precision."""
    if row.now - row.ref > REBASE_HALF_LIVES * smallest_half_life_ms:
        move_ref(row)


def move_ref(row: Row) -> None:
    for tally in row.tallies.values():
        tally.x *= fade(row.now - row.ref, tally.half_life_ms)
    row.ref = row.now


def tag_key(rule: str, tag: str) -> str:
    """The tally of what a rule's acts were about."""
    return f"{rule}#{tag}"


def pay(  # noqa: PLR0917 - names would cost a tenth of it, and it runs for every act
    row: Row, rule: str, half_life_ms: Number, units: float, weight: float, tag_keys: tuple[str, ...], at: int
) -> Tally:
    """Add the units of an act at `at` to the tally of its rule, and its weight to those of its tags."""
    factor, tallies = exp2((at - row.ref) / half_life_ms), row.tallies
    for key in tag_keys:
        tally = tallies.get(key)
        if tally is None:
            tally = tallies[key] = Tally(half_life_ms)
        tally.x += weight * factor
    tally = tallies.get(rule)
    if tally is None:
        tally = tallies[rule] = Tally(half_life_ms)
    tally.x += units * factor
    return tally


def evict_day(at: int) -> int:
    """The first day (since 1970 UTC, of row time) on which what happened or ended at `at` is forgotten."""
    return (at + KEPT_MS) // DAY_MS + 1


def slot_of(text: str) -> int:
    """Which of 256 slots a value of `by` falls into (state must be bounded)."""
    return blake2b(text.encode(), digest_size=8).digest()[0]


def worth_in(window_start: int, half_life_ms: float) -> Callable[[Entry], tuple[float, int, bytes]]:
    """Orders the acts of a window by what they are worth at any one later time, then by time; units of 0 come last."""

    def worth(entry: Entry) -> tuple[float, int, bytes]:
        at, id8, units, _, _ = entry
        return (log2(units) + (at - window_start) / half_life_ms if units > 0 else -inf, at, id8)

    return worth


def pay_limited(row: Row, limited: Limited, bucket_key: int, entry: Entry, tag_keys: tuple[str, ...]) -> Tally:
    """Put the act into its bucket, which keeps the `times` acts worth most; at equal worth the latest."""
    rule, half_life_ms, times, _, _, longest_ms = limited
    at, _, units, weight, _ = entry
    buckets, ends = row.limited.get(rule), (bucket_key >> 8) + longest_ms
    touched = row.now if row.now > ends else 0
    if buckets is None:
        buckets = row.limited[rule] = {}
        row.evict_day = min(row.evict_day, evict_day(touched or ends))
    bucket = buckets.get(bucket_key)
    row.entries += 1 + len(tag_keys)
    if bucket is None:
        buckets[bucket_key] = Bucket(touched, [entry])
    else:
        bucket.touched = touched
        pushed_out = _insert(bucket.entries, entry, times, bucket_key >> 8, half_life_ms)
        if pushed_out is not None:
            row.entries -= 1 + len(pushed_out[4])
            if pushed_out is entry:
                return pay(row, rule, half_life_ms, 0.0, 0.0, (), at)
            _take_back(row, limited, pushed_out)
    if row.entries > MAX_LIMITED_ENTRIES:
        _close_oldest(row)
    return pay(row, rule, half_life_ms, units, weight, tag_keys, at)


def _insert(entries: list[Entry], entry: Entry, times: int, start: int, half_life_ms: Number) -> Entry | None:
    """Returns the entry that has no place any more, if any."""
    best = entries[-1]
    if entry[2] == best[2] and entry[:2] >= best[:2]:  # of equal units the latest is worth most
        entries.append(entry)
    else:
        insort(entries, entry, key=worth_in(start, half_life_ms))
    return entries.pop(0) if len(entries) > times else None


def _take_back(row: Row, limited: Limited, entry: Entry) -> None:
    at, _, units, weight, tags = entry
    tag_keys = tuple([tag_key(limited.id, tag) for tag in tags])
    pay(row, limited.id, limited.half_life_ms, -units, -weight, tag_keys, at)


def _close_oldest(row: Row) -> None:
    """Too many acts are kept: the buckets that nobody touched for longest, or that began first, go early."""
    while row.entries > MAX_LIMITED_ENTRIES:
        buckets = [(max(b.touched, key >> 8), rule, key) for rule, bs in row.limited.items() for key, b in bs.items()]
        _, rule, key = min(buckets)
        close_bucket(row, rule, key)


def close_bucket(row: Row, rule: str, key: int) -> None:
    """The window is over: what it paid stays paid."""
    buckets = row.limited[rule]
    for entry in buckets.pop(key).entries:
        row.entries -= 1 + len(entry[4])
    if not buckets:
        del row.limited[rule]
