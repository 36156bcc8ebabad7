"""The only reader of the clock."""

import time
from dataclasses import dataclass
from typing import Protocol

DAY_MS = 86_400_000


class Clock(Protocol):
    def now_ms(self) -> int:
        """Milliseconds since 1970 in UTC."""


class SystemClock:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class PlayedClock:
    """The demo's clock: at real time `anchor_ms` it showed `start_ms`; since then it runs `days_per_second`."""

    start_ms: int
    anchor_ms: int
    days_per_second: float

    def now_ms(self) -> int:
        real_ms = time.time_ns() // 1_000_000
        return self.start_ms + int((real_ms - self.anchor_ms) * self.days_per_second * DAY_MS / 1000)
