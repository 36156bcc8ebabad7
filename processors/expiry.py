"""When a visitor who never became a lead is forgotten: solved as exits are, from the row alone."""

from math import inf, log2

from processors.active_model import ActiveModel
from processors.calendar import DAY_MS
from processors.units import KEPT_MS
from schemas.rows import NEVER_MS, Row

TTL_MS = 90 * DAY_MS  # longer than the window in which a repeat is recognised
SPENT_POINTS = 0.01


def earliest_expiry(row: Row, active: ActiveModel) -> int:
    """A cheap instant before which the row does not expire; `NEVER_MS` for one that does not at all."""
    if row.seq or row.stage != active.first_stage.id:
        return NEVER_MS
    return (row.entered_at if row.last_at is None else row.last_at) + TTL_MS


def expires_at(row: Row, active: ActiveModel) -> int:
    """When the row is old, no act of it can be repeated, and every term is worth under 0.01 points.

    Each term fades by its own half-life, so the instant is `ref + h log2(|points| x / 0.01)`, the latest of all. It
    depends on the row and the model only: a replay with other ticks forgets the same rows.
    """
    earliest = earliest_expiry(row, active)
    if earliest == NEVER_MS or any(key < 256 for buckets in row.limited.values() for key in buckets):
        return NEVER_MS  # the second: what is paid once in a lifetime is remembered for one
    latest = float(max([earliest, *(at + KEPT_MS for at in row.window.values())]))
    for key, tally in row.tallies.items():
        rule = active.rules.get(key)
        worth = abs(rule.points) * tally.x if rule is not None else 0.0  # at `ref`, so row time plays no part
        if worth >= SPENT_POINTS:
            latest = max(latest, row.ref + tally.half_life_ms * log2(worth / SPENT_POINTS))
    return NEVER_MS if latest == inf else min(int(latest) + 1, NEVER_MS)
