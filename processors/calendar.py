"""Where an hour, day, week or month of a limit begins, in the model's time zone.

The zone comes from the pinned `tzdata` package, never from the machine, so that two machines fold alike.
"""

from datetime import UTC, datetime, timedelta

from processors.model.model import CalendarUnit
from processors.model.zones import zone

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
_QUARTER_MS = 900_000  # no zone has changed its offset between quarter hours since 1972
_CACHE_SIZE = 50_000

# Longest a window can be, a clock change included: what eviction counts with.
LONGEST_MS: dict[CalendarUnit, int] = {
    "hour": HOUR_MS,
    "day": 25 * HOUR_MS,
    "week": 7 * DAY_MS + HOUR_MS,
    "month": 31 * DAY_MS + HOUR_MS,
}


class Calendar:
    """Window starts in one time zone; answers are cached by quarter hour."""

    def __init__(self, timezone: str) -> None:
        self._zone = zone(timezone)
        self._starts: dict[CalendarUnit, dict[int, int]] = {unit: {} for unit in LONGEST_MS}

    def window_start_ms(self, at: int, unit: CalendarUnit) -> int:
        """Start (ms UTC) of the window that holds `at`; 0 for `lifetime`. Weeks begin on Monday."""
        if unit == "lifetime":
            return 0
        starts, quarter = self._starts[unit], at // _QUARTER_MS
        start = starts.get(quarter)
        if start is None:
            if len(starts) >= _CACHE_SIZE:
                starts.clear()
            start = starts[quarter] = self._compute(at, unit)
        return start

    def _compute(self, at: int, unit: CalendarUnit) -> int:
        local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)).astimezone(self._zone)
        if unit == "hour":  # by subtraction: a repeated hour of a clock change stays two windows
            return at - (local.minute * 60_000 + local.second * 1000 + local.microsecond // 1000)
        day = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        if unit == "week":
            day -= timedelta(days=day.weekday())
        elif unit == "month":
            day = day.replace(day=1)
        return int(day.timestamp()) * 1000
