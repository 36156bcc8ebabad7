"""How much of something may pass in a second, by name. Pure: time is an argument, in seconds of a clock that only goes on."""

from collections.abc import Hashable
from typing import Final

MAX_BUCKETS: Final = 20_000


class TokenBuckets:
    """A bucket per name holds up to `burst` tokens and gains `per_second`. What is larger than a bucket passes when the
    bucket is full, and is paid off afterwards: otherwise it would never pass.

    At most `max_buckets` are remembered. The one that was used longest ago is forgotten first: it begins anew, full.
    """

    def __init__(self, per_second: float, burst: float, max_buckets: int = MAX_BUCKETS) -> None:
        self._per_second = per_second
        self._burst = burst
        self._max_buckets = max_buckets
        self._buckets: dict[Hashable, tuple[float, float]] = {}  # tokens, and when it held them; last used last

    def __len__(self) -> int:
        return len(self._buckets)

    def wait_seconds(self, name: Hashable, amount: float, now: float) -> float:
        """0 if `amount` may pass now, else when to ask again. Takes nothing."""
        missing = min(amount, self._burst) - self._tokens(name, now)
        return max(0.0, missing / self._per_second)

    def take(self, name: Hashable, amount: float, now: float) -> None:
        tokens = self._tokens(name, now) - amount
        self._buckets.pop(name, None)
        self._buckets[name] = (tokens, now)
        if len(self._buckets) > self._max_buckets:
            del self._buckets[next(iter(self._buckets))]

    def _tokens(self, name: Hashable, now: float) -> float:
        tokens, at = self._buckets.get(name, (self._burst, now))
        return min(self._burst, tokens + max(0.0, now - at) * self._per_second)
