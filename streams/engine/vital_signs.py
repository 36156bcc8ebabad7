"""What a worker shows of itself, twice a second: to its watchdog, and as metrics."""

import time
from typing import Any

from faust.types import TP

from schemas.metrics import Metrics
from streams.engine.checkpoint import Checkpoint
from streams.engine.partitions import Partitions
from streams.engine.recovery import Recovery
from streams.engine.verdict import Vitals


class VitalSigns:
    """Reads them off the parts of the worker."""

    def __init__(
        self,
        vitals: Vitals,
        partitions: Partitions,
        checkpoint: Checkpoint,
        recovery: Recovery,
        metrics: Metrics,
        *,
        events_topic: str,
    ) -> None:
        self._vitals = vitals
        self._partitions = partitions
        self._checkpoint = checkpoint
        self._recovery = recovery
        self._metrics = metrics
        self._events_topic = events_topic
        self._shown: set[int] = set()  # partitions with a lag in the metrics

    def read(self, app: Any, *, joins: bool, recovering: bool) -> None:
        """`app`: Faust's. `joins`: it has begun to be a member of its group. `recovering`: partitions are on their way."""
        now, vitals, partitions = time.monotonic(), self._vitals, list(self._partitions)
        fetched_at = self._read_partitions(app)
        behind = any(partition.lag for partition in partitions)
        vitals.folding.update(self._partitions.events_total, work=behind, now=now)
        owing = any(partition.next_offset != partition.committed_offset for partition in partitions)
        vitals.checkpoints.update(self._checkpoint.completed_total, work=owing, now=now)
        vitals.fetching.update(fetched_at, work=bool(partitions) and not behind, now=now)
        vitals.recovery.update(self._recovery.restored_total, work=recovering, now=now)
        vitals.rebalance.update(app.rebalancing_count, work=app.rebalancing, now=now)
        waits = joins and not recovering and not self._partitions.assigned
        vitals.joining.update(app.rebalancing_count, work=waits, now=now)
        self._metrics.set("leadstream_worker_partitions", len(partitions))
        self._metrics.set("leadstream_worker_checkpoint_age_seconds", vitals.checkpoints.stuck_seconds(now))

    def _read_partitions(self, app: Any) -> float | None:
        """Ends and lags. Returns the Unix time of the last answered fetch, in seconds."""
        fetched_at = None
        owned = {partition.number for partition in self._partitions}
        for gone in self._shown - owned:
            self._metrics.set("leadstream_worker_lag_records", 0, partition=str(gone))  # another worker's now
        self._shown = owned
        for partition in self._partitions:
            tp, thread = TP(self._events_topic, partition.number), app.consumer.thread
            partition.highwater = thread.known_highwater(tp) or partition.highwater
            fetched_at = max(filter(None, (fetched_at, thread.fetched_at(tp))), default=None)
            self._metrics.set("leadstream_worker_lag_records", partition.lag, partition=str(partition.number))
        return fetched_at
