"""When a sink stops asking its destination, and when it stops itself. No I/O, no clock."""

from collections import deque
from dataclasses import dataclass, field

FAILURES_TO_OPEN = 5
OPEN_SECONDS = 30.0
SHARE_WINDOW = 200  # records
LEAST_DEAD = 20
MOST_DEAD_SHARE = 0.5


@dataclass(slots=True)
class Circuit:
    """Open after 5 failures in a row. While open the next attempt is a probe of one record; its success closes it."""

    failures: int = 0

    @property
    def is_open(self) -> bool:
        return self.failures >= FAILURES_TO_OPEN

    def attempt_size(self, wanted: int) -> int:
        return 1 if self.is_open else wanted

    def succeeded(self) -> None:
        self.failures = 0

    def failed(self, asked_seconds: float | None) -> float | None:
        """Seconds to wait: what the destination asked for, at least 30 while open; None: the usual growing wait."""
        self.failures += 1
        if self.is_open:
            return max(asked_seconds or 0.0, OPEN_SECONDS)
        return asked_seconds


@dataclass(slots=True)
class DeadShare:
    """Of the last 200 records, how many became dead letters.

    More than half, and 20 or more, means a broken destination or deployment rather than bad records: then it is better
    to stop and lag than to empty a topic into the dead letters.
    """

    _window: deque[bool] = field(default_factory=lambda: deque(maxlen=SHARE_WINDOW))

    def add(self, *, dead: bool) -> None:
        self._window.append(dead)

    @property
    def too_large(self) -> bool:
        dead = sum(self._window)
        return dead >= LEAST_DEAD and dead > MOST_DEAD_SHARE * len(self._window)
