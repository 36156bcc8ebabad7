"""The acts that a row remembers, so that a repeat is recognised, and when it forgets them and its closed limits."""

from typing import Literal

from processors.active_model import ActiveModel
from processors.calendar import DAY_MS, LONGEST_MS
from processors.units import KEPT_MS, close_bucket, evict_day
from schemas.rows import NEVER_MS, Hit, Row

MAX_WINDOW = 4000  # acts, hits and their tags, together, that a row remembers
_MONTH_MS = LONGEST_MS["month"]  # of a rule that the model no longer has, or no longer limits


def refusal(row: Row, id8: bytes, logged_at: int) -> Literal["duplicate", "flood"] | None:
    """Why the row takes no such act at `logged_at`; None: it does."""
    window = row.window
    known = window.get(id8)
    if known is not None and known >= max(row.now, logged_at) - KEPT_MS:
        return "duplicate"
    if len(window) + row.hits < MAX_WINDOW:
        return None
    oldest = next(iter(window.values()))
    # If it can go by now there is room: else one flood would shut the window for ever.
    return "flood" if oldest >= _horizon(logged_at // DAY_MS) else None


def remember_act(row: Row, id8: bytes, at: int, hits: tuple[Hit, ...]) -> None:
    window = row.window
    if id8 in window:
        _forget_act(row, id8)
    if not window:
        row.evict_day = min(row.evict_day, evict_day(at))
    window[id8] = at
    if hits:
        row.paid[id8] = hits
        row.hits += _weight_of(hits)


def _forget_act(row: Row, id8: bytes) -> None:
    del row.window[id8]
    if id8 in row.paid:
        row.hits -= _weight_of(row.paid.pop(id8))


def _weight_of(hits: tuple[Hit, ...]) -> int:
    """How much of a row's window the hits of an act take: a tag is as long as a hit."""
    return sum([1 + len(tags) for _, _, _, tags in hits])


def _horizon(day: int) -> int:
    """On that day of row time, no act before this can be repeated any more."""
    return day * DAY_MS - KEPT_MS


def evict(row: Row, active: ActiveModel) -> None:
    """Forget what no accepted act can repeat any more.

    By whole days of row time, and from the front only: acts and windows come in nearly in order, so an entry that
    arrived late stays until those before it go. The row still depends on nothing but its own records.
    """
    day = row.now // DAY_MS
    if day < row.evict_day:
        return
    horizon = _horizon(day)
    oldest = min(_evict_acts(row, horizon), _evict_buckets(row, active.longest_window_ms, horizon))
    row.evict_day = evict_day(oldest)


def _evict_acts(row: Row, horizon: int) -> int:
    """Returns the time of the first act that stays."""
    window = row.window
    while window:
        oldest = next(iter(window))
        at = window[oldest]
        if at >= horizon:
            return at
        _forget_act(row, oldest)
    return NEVER_MS


def _evict_buckets(row: Row, longest_window_ms: dict[str, int], horizon: int) -> int:
    """Returns the end of the first window that stays. One loop without calls: most rows have five rules or more."""
    first_end, ended = NEVER_MS, []
    for rule, buckets in row.limited.items():
        longest_ms = longest_window_ms.get(rule, _MONTH_MS)
        for key, bucket in buckets.items():
            if key < 256:  # begins at 0: the window of a lifetime never ends
                break
            end = (key >> 8) + longest_ms
            end = max(end, bucket.touched)
            if end >= horizon:
                first_end = min(first_end, end)
                break
            ended.append((rule, key))
    for rule, key in ended:
        close_bucket(row, rule, key)
    return first_end
