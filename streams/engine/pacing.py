"""How often small deliveries are fetched. A fetch costs about 1 ms of CPU, whether it brings one record or a thousand."""


class Pacing:
    """At least `pause_seconds` between two deliveries, unless the last one was full: then there is a backlog."""

    def __init__(self, pause_seconds: float, *, full: int) -> None:
        self._pause_seconds = pause_seconds
        self._full = full
        self._next_at = 0.0

    def delivered(self, records: int, now: float) -> None:
        self._next_at = now if records >= self._full else now + self._pause_seconds

    def pause_seconds(self, now: float) -> float:
        return max(0.0, self._next_at - now)
