"""When to look at which row again: a heap with at most one live entry per row."""

from heapq import heapify, heappop, heappush

from schemas.rows import NEVER_MS


class WakeUps:
    """An entry may be early, never late; what is due is decided by looking at the row."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, bytes]] = []
        self._queued: dict[bytes, int] = {}

    def replace(self, entries: list[tuple[int, bytes]]) -> None:
        """Forget all and start from these (at, key)."""
        self._heap = [entry for entry in entries if entry[0] < NEVER_MS]
        self._queued = {key: at for at, key in self._heap}
        heapify(self._heap)

    def look_at(self, key: bytes, at: int) -> None:
        """Look at the row at `at` at the latest; an earlier entry stays."""
        if at < self._queued.get(key, NEVER_MS):
            self._queued[key] = at
            heappush(self._heap, (at, key))

    def next_at(self) -> int | None:
        while self._heap and self._queued.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: int) -> list[bytes]:
        """The keys to look at, in key order; their entries are gone."""
        due = []
        while (at := self.next_at()) is not None and at <= now:
            key = heappop(self._heap)[1]
            del self._queued[key]
            due.append(key)
        return sorted(due)
