"""Which requests are too many? Pure: the time is an argument. Each collector counts by itself."""

from collections import Counter
from typing import Final, Literal, NamedTuple

from sources.http.requests import Read, Refused
from sources.outcomes import Accepted
from sources.token_buckets import TokenBuckets

KEY_BURST_SECONDS: Final = 2.0
VISITOR_BURST_SECONDS: Final = 10.0
# Without configured keys all requests share one bucket: a name that the client says would be free to choose.
EVERYBODY: Final = ""


class TooMany(NamedTuple):
    limit: Literal["key", "visitor"]
    wait_seconds: float


class RateLimits:
    """Requests of a write key, and events of a visitor: of a lead key, or of an address where there is none. 0: no limit."""

    def __init__(self, requests_per_second_per_key: float, events_per_second_per_visitor: float) -> None:
        self._keys = _buckets(requests_per_second_per_key, KEY_BURST_SECONDS)
        self._visitors = _buckets(events_per_second_per_visitor, VISITOR_BURST_SECONDS)

    def of_key(self, name: str, now: float) -> TooMany | None:
        """None if one more request of the key may pass."""
        if self._keys is None:
            return None
        wait_seconds = self._keys.wait_seconds(name, 1, now)
        if wait_seconds:
            return TooMany("key", wait_seconds)
        self._keys.take(name, 1, now)
        return None

    def of_visitors(self, read: Read | Refused, ip: str | None, now: float) -> TooMany | None:
        """None if all of what was read may pass; otherwise none of it, and nobody is charged.

        What cannot be used counts for the address: it would fill the dead letters.
        """
        if self._visitors is None:
            return None
        outcomes = [None] if isinstance(read, Refused) else read.outcomes
        counts = Counter(outcome.key if isinstance(outcome, Accepted) else ip for outcome in outcomes)
        wait_seconds = max(self._visitors.wait_seconds(name, count, now) for name, count in counts.items())
        if wait_seconds:
            return TooMany("visitor", wait_seconds)
        for name, count in counts.items():
            self._visitors.take(name, count, now)
        return None


def _buckets(per_second: float, burst_seconds: float) -> TokenBuckets | None:
    """A bucket holds at least one, or nothing would ever pass."""
    return TokenBuckets(per_second, max(1.0, per_second * burst_seconds)) if per_second else None
