"""The product's side of the engine: `processors.fold_partition` behind `streams.engine.state.PartitionState`."""

from collections.abc import Mapping, Sequence

from processors.fold_partition import PartitionFold
from processors.outbox import Sent
from schemas.codec import Kind, UndecodableError, decode
from schemas.metrics import Metrics
from schemas.records import LogRecord
from schemas.rows import UnreadableRowError
from streams.delivery.dead_share import DeadShare
from streams.engine.state import CorruptRowError, Output, StopWorkerError


class ScoringState:
    """Gives every record that the fold sends its topic, and counts what became of those it took.

    Every topic has as many partitions as the events topic, so what is said of a lead goes to the lead's own number. With
    too large a share of dead letters the worker stops; `share` is common to all its partitions.
    """

    def __init__(
        self, fold: PartitionFold, number: int, topics: Mapping[Kind, str], metrics: Metrics, share: DeadShare
    ) -> None:
        self._fold = fold
        self._number = number
        self._topics = topics
        self._metrics = metrics
        self._share = share

    def restore(self, key: bytes, value: bytes | None) -> None:
        try:
            self._fold.restore(key, value)
        except (UnreadableRowError, UndecodableError) as error:
            raise CorruptRowError(f"row {key!r}: {error}") from error

    def restored(self) -> None:
        try:
            self._fold.restored()
        except UnreadableRowError as error:
            raise CorruptRowError(str(error)) from error

    @property
    def next_offset(self) -> int | None:
        return self._fold.next_offset

    @property
    def epoch(self) -> int:
        return self._fold.epoch

    @property
    def newest_row_offset(self) -> int:
        return self._fold.newest_row_offset

    def fold(self, records: Sequence[LogRecord]) -> list[Output]:
        try:
            sent = self._fold.fold(records)
        except UnreadableRowError as error:  # only its header was looked at when it was restored
            raise StopWorkerError(
                f"partition {self._number}: {error}: it cannot be read. Make it anew from the log: leadstream rows mend"
            ) from error
        for outcome, count in self._fold.outcomes.items():
            self._metrics.count("leadstream_worker_records_total", count, outcome=outcome)
        ticks = self._fold.outcomes["tick"]  # the worker's own; on a quiet site they would be most of what it reads
        self._fold.outcomes.clear()
        self._judge(len(records) - ticks, [one for one in sent if one.kind == "DeadLetter"])
        return [self._output(one) for one in sent]

    def _judge(self, seen: int, letters: Sequence[Sent]) -> None:
        self._share.add(seen, len(letters))
        if letters and self._share.too_large:
            decoded = [decode(one.value or b"")[1] for one in letters]
            newest = max(decoded, key=lambda letter: int(letter["offset"]))
            text = self._share.why_it_stops(
                "worker.dead_letter_share", newest["id"], newest["reason"], newest["detail"]
            )
            raise StopWorkerError(text)

    def take_snapshots(self) -> list[Output]:
        return [self._output(one) for one in self._fold.take_snapshots()]

    def take_checkpoint(self, next_offset: int) -> list[tuple[bytes, bytes | None]]:
        return self._fold.take_checkpoint(next_offset)

    def wake_at_ms(self) -> int | None:
        return self._fold.wake_at_ms()

    def leads_by_stage(self) -> Mapping[str, int]:
        """From the rows themselves."""
        return self._fold.rows.leads_by_stage()

    def _output(self, sent: Sent) -> Output:
        return Output(self._topics[sent.kind], sent.key, sent.value, self._number)
