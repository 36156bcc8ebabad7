"""When a sink stops asking its destination. No I/O, no clock."""

from dataclasses import dataclass

FAILURES_TO_OPEN = 5
OPEN_SECONDS = 30.0


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
