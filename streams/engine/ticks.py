"""When the owner of a partition writes a tick (docs/fold.md 1): its clock is past the earliest wake-up, at most once a second."""

from collections.abc import Callable

from schemas import codec
from schemas.keys import CONTROL_KEY
from schemas.metrics import Metrics
from streams.clock import Clock
from streams.engine.partitions import Partition, Partitions
from streams.engine.state import Output

Write = Callable[[Output, int], object]
"""(record, timestamp in ms)."""


def tick_is_due(now_ms: int, wake_at_ms: int | None, *, backlogged: bool) -> bool:
    """A backlogged partition waits: its rows are older than its log, and the backlog may hold the tick already."""
    return wake_at_ms is not None and now_ms > wake_at_ms and not backlogged


class Ticker:
    """Call `tick` once a second of real time."""

    def __init__(
        self, partitions: Partitions, clock: Clock, write: Write, metrics: Metrics, *, events_topic: str
    ) -> None:
        self._partitions = partitions
        self._clock = clock
        self._write = write
        self._metrics = metrics
        self._events_topic = events_topic
        self._value = codec.encode("Tick", {})

    def tick(self) -> None:
        for partition in self._partitions:
            now_ms = self._clock.now_ms()
            if tick_is_due(now_ms, partition.state.wake_at_ms(), backlogged=self._behind(partition)):
                self._write(Output(self._events_topic, CONTROL_KEY, self._value, partition.number), now_ms)
                self._metrics.count("leadstream_worker_ticks_total")

    def _behind(self, partition: Partition) -> bool:
        return self._partitions.backlogged(partition)
