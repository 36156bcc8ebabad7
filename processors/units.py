"""The faded units of a row: adding, limiting and converting them.

Forward decay (Cormode, Shkapenyuk, Srivastava, Xu: "Forward Decay", ICDE 2009): a tally holds
`x = sum(units * 2^((t - ref) / h))`, so that its worth at any time T is `x * 2^(-(T - ref) / h)`. Sums commute: late
and shuffled acts give the same worth. A limited rule pays only the best acts of each window: an act that is pushed out
of its bucket is subtracted again, so that reading a row never looks into a bucket.
"""

from bisect import insort
from collections.abc import Callable
from hashlib import blake2b
from math import exp2, inf, log2

from processors.active_model import ActiveModel, Limited
from processors.calendar import DAY_MS, LONGEST_MS
from schemas.rows import Bucket, Entry, Row, Tally
from schemas.rows import Hit as KeptHit

LATE_MS = 7 * DAY_MS  # W: older acts come in by import
KEPT_MS = LATE_MS + DAY_MS
MAX_LIMITED_ENTRIES = 1000  # acts and their tags
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
        move_ref(row)


def move_ref(row: Row) -> None:
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


def _worth(window_start: int, half_life_ms: float) -> Callable[[Entry], tuple[float, int, bytes]]:
    """Orders the acts of a window by what they are worth at any one later time, then by time; units of 0 come last."""

    def worth(entry: Entry) -> tuple[float, int, bytes]:
        at, id8, units, _, _ = entry
        return (log2(units) + (at - window_start) / half_life_ms if units > 0 else -inf, at, id8)

    return worth


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
    if entries:
        insort(entries, entry, key=_worth(bucket_key >> 8, rule.half_life_ms))
    else:
        entries.append(entry)
    row.entries += 1 + len(entry[-1])
    if len(entries) > rule.times:
        pushed_out = entries.pop(0)
        row.entries -= 1 + len(pushed_out[-1])
        if pushed_out is entry:
            return add(row, rule.id, rule.half_life_ms, 0.0, entry[0])
        _pay(row, rule, pushed_out, -1.0)
    while row.entries > MAX_LIMITED_ENTRIES:
        _, oldest, key = min((b.touched, rule, key) for rule, bs in row.limited.items() for key, b in bs.items())
        _close_bucket(row, oldest, key)
    return _pay(row, rule, entry, 1.0)


def _pay(row: Row, rule: Limited, entry: Entry, sign: float) -> Tally:
    at, _, units, weight, tags = entry
    for tag in tags:
        add(row, f"{rule.id}#{tag}", rule.half_life_ms, sign * weight, at)
    return add(row, rule.id, rule.half_life_ms, sign * units, at)


def _close_bucket(row: Row, rule: str, key: int) -> None:
    """The window is over: what it paid stays paid."""
    buckets = row.limited[rule]
    row.entries -= sum([1 + len(entry[-1]) for entry in buckets.pop(key).entries])
    if not buckets:
        del row.limited[rule]


def weight_of(hits: list[KeptHit]) -> int:
    """How much of a row's window the hits of an act take: a tag is as long as a hit."""
    return sum([1 + len(tags) for _, _, _, tags in hits])


def remember_act(row: Row, id8: bytes, at: int, hits: list[KeptHit]) -> None:
    if id8 in row.window:
        forget_act(row, id8)
    row.window[id8] = (at, hits)
    if hits:
        row.hits += weight_of(hits)


def forget_act(row: Row, id8: bytes) -> None:
    hits = row.window.pop(id8)[1]
    if hits:
        row.hits -= weight_of(hits)


def has_room_to_come(row: Row, now: int) -> bool:
    """Will a record at `now` evict an act from a full window? Else one flood would shut the window for ever."""
    oldest, _ = next(iter(row.window.values()))
    return oldest < _horizon(now)


def _horizon(now: int) -> int:
    """No act before this can be repeated any more; it moves once a day."""
    return now - now % DAY_MS - KEPT_MS


def evict(row: Row, before: int, active: ActiveModel) -> None:
    """Forget what no accepted act can repeat any more; `before` is row time before the record.

    Once a day of row time, and from the front only: acts and windows come in nearly in order, so an entry that arrived
    late stays until those before it go. The row still depends on nothing but its own records.
    """
    if row.now // DAY_MS == before // DAY_MS:
        return
    horizon = _horizon(row.now)
    window = row.window
    while window and window[oldest := next(iter(window))][0] < horizon:
        forget_act(row, oldest)
    for rule in list(row.limited):
        # A rule that the model no longer has, or no longer limits, counts as one of a month.
        longest = LONGEST_MS["day"] if rule == DAYS_RULE else active.longest_window_ms.get(rule, LONGEST_MS["month"])
        buckets = row.limited[rule]
        while buckets and _has_ended(key := next(iter(buckets)), buckets[key].touched, longest, horizon):
            _close_bucket(row, rule, key)


def _has_ended(bucket_key: int, touched: int, longest: int, horizon: int) -> bool:
    start = bucket_key >> 8  # 0: the window of a lifetime
    return start > 0 and max(touched, start + longest) < horizon


def adopt_names(row: Row, active: ActiveModel) -> None:
    """Hand the units of renamed rules (`was`) over to their heirs."""
    for old, new in active.heirs.items():
        for key in [key for key in row.tallies if key == old or key.startswith(f"{old}#")]:
            _bequeath(row, key, new + key.removeprefix(old))
        if new not in row.limited:
            row.limited |= {new: row.limited.pop(old)} if old in row.limited else {}
        for bucket_key in list(row.limited.get(old, ())):
            _close_bucket(row, old, bucket_key)


def _bequeath(row: Row, old: str, new: str) -> None:
    tally = row.tallies.pop(old)
    heir = row.tallies.setdefault(new, tally)
    if heir is not tally:
        heir.x += tally.x  # both as of `ref`, which is row time
        heir.count += tally.count
        if (tally.last_at, tally.last_id) > (heir.last_at, heir.last_id):
            heir.last_at, heir.last_id, heir.subject = tally.last_at, tally.last_id, tally.subject


def adopt_half_lives(row: Row, active: ActiveModel) -> None:
    """Convert units whose half-life the model has changed, so that they are worth the same at row time."""
    for key, tally in row.tallies.items():
        rule = active.rules.get(key.partition("#")[0])
        if rule is None or rule.half_life_ms == tally.half_life_ms:
            continue
        old, new = tally.half_life_ms, rule.half_life_ms
        tally.half_life_ms = new
        for bucket_key, bucket in row.limited.get(key, {}).items():
            converted = [_converted(entry, row.now, old, new) for entry in bucket.entries]
            bucket.entries = sorted(converted, key=_worth(bucket_key >> 8, new))


def _converted(entry: Entry, now: int, old: float, new: float) -> Entry:
    at, id8, units, weight, tags = entry
    # 900: a double ends at 2^1024. An act that lies further back than that is worth nothing either way.
    factor = fade(now - at, old) * exp2(min((now - at) / new, 900.0))
    return (at, id8, units * factor, weight * factor, tags)
