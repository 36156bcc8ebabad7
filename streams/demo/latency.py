"""How long an event takes until its effect can be seen. Pure: the times are told by the caller."""

from collections import defaultdict, deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from math import ceil


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Of latencies in ms; None where nothing was measured."""

    p50: int | None
    p99: int | None
    count: int


def quantiles(latencies_ms: Collection[int]) -> Quantiles:
    """By nearest rank: the smallest value that is not exceeded by 50 % and 99 % of them."""
    ranked = sorted(latencies_ms)
    if not ranked:
        return Quantiles(None, None, 0)
    return Quantiles(ranked[ceil(0.50 * len(ranked)) - 1], ranked[ceil(0.99 * len(ranked)) - 1], len(ranked))


@dataclass(slots=True)
class Outage:
    """The time without a worker, ms UTC; an event that waited in it says nothing about the speed of a running one."""

    killed_at: int | None = None
    caught_up_at: int | None = None

    def delayed(self, sent_at: int, seen_at: int) -> bool:
        if self.killed_at is None or seen_at < self.killed_at:
            return False
        return self.caught_up_at is None or sent_at < self.caught_up_at


@dataclass(slots=True)
class Samples:
    """Latencies in ms: of events that a running worker took, and of those that had to wait for the next one."""

    outage: Outage
    running: list[int] = field(default_factory=list)
    delayed: list[int] = field(default_factory=list)

    def add(self, sent_at: int, seen_at: int) -> None:
        into = self.delayed if self.outage.delayed(sent_at, seen_at) else self.running
        into.append(max(0, seen_at - sent_at))


class ScoreWatch:
    """Matches events with the first snapshot of their lead that knows them.

    Offsets are of one events partition and rise from call to call; a lead lives in one partition only. A snapshot may
    be told before the event that it knows of.
    """

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        self._waiting: dict[bytes, deque[tuple[int, int]]] = defaultdict(deque)  # lead -> (offset, sent at)
        self._early: dict[bytes, deque[tuple[int, int]]] = defaultdict(deque)  # lead -> (offset, seen at)
        self._read_to = -1
        self.waiting = 0

    def event(self, lead: bytes, offset: int, sent_at: int) -> None:
        """An event that will change the row of its lead."""
        early = self._early.get(lead, ())
        seen_at = next((seen for known, seen in early if known >= offset), None)
        if seen_at is not None:
            self._samples.add(sent_at, seen_at)
            return
        self._waiting[lead].append((offset, sent_at))
        self.waiting += 1

    def read_to(self, offset: int) -> None:
        """Every event up to `offset` was told: what snapshots know up to there is needed no longer."""
        self._read_to = offset
        for lead in [lead for lead, early in self._early.items() if early[-1][0] <= offset]:
            del self._early[lead]

    def snapshot(self, lead: bytes, offset: int, seen_at: int) -> None:
        """A snapshot that knows the events of its lead up to `offset`."""
        waiting = self._waiting.get(lead, deque())
        while waiting and waiting[0][0] <= offset:
            self._samples.add(waiting.popleft()[1], seen_at)
            self.waiting -= 1
        if offset > self._read_to:
            self._early[lead].append((offset, seen_at))

    def waiting_since(self) -> Iterator[int]:
        """When the events without a score were sent."""
        return (sent_at for waiting in self._waiting.values() for _, sent_at in waiting)
