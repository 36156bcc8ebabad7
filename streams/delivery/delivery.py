"""From the records of a topic to confirmed effects at one sink, then the commit.

This module alone retries, counts, breaks the circuit, writes dead letters and orders the commit; it knows no Kafka
client. A batch ends in one of three ways: every record took effect or became a confirmed dead letter, and the offsets
are committed; the destination has lost what it was told, and the topics are read again; or an exception ends the process, with
nothing committed.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import stamina

from processors.dead_letters import dead_letter
from schemas.codec import UndecodableError, decode
from schemas.metrics import Metrics
from schemas.records import DeadLetter, LogRecord
from sinks.base import Delivery, Input, RecordKind, RetryLater, Sink, StartOver, Undeliverable
from streams.delivery.circuit import Circuit
from streams.delivery.dead_share import DEFAULT_LIMIT, DeadShare

log = logging.getLogger(__name__)

# What may stand on a topic; None is a null value: the key was forgotten.
KINDS: Mapping[Input, frozenset[RecordKind | None]] = {
    "transitions": frozenset({"StageTransition"}),
    "scores": frozenset({"LeadSnapshot", "ModelActivated", None}),
}
UNDELIVERABLE = "undeliverable"  # the reason of a dead letter that the destination refused
WAIT_INITIAL_SECONDS, WAIT_MAX_SECONDS, WAIT_JITTER_SECONDS = 0.1, 30.0, 1.0

Place = tuple[str, int]  # topic, partition


class SinkStoppedError(RuntimeError):
    """The sink ends of itself and lags, with the reason; what it has not delivered is not committed."""


class TooManyDeadLettersError(SinkStoppedError):
    """Most of the latest records could not be delivered."""


class Record(LogRecord, Protocol):
    """A record of a topic, as aiokafka gives it."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...


class Log(Protocol):
    """The Kafka side of delivery. An exception ends the process."""

    async def write_dead_letter(self, letter: DeadLetter) -> None:
        """Return when the broker has confirmed it."""

    async def commit(self, ends: Mapping[Place, int]) -> None:
        """Commit the next offset of each partition."""

    async def rewind(self, places: frozenset[Place] | None) -> None:
        """Commit and seek to the beginning of the partitions; None: of all that are assigned."""


@dataclass(slots=True)
class SinkStatus:
    """What /readyz and the metrics tell of a running sink."""

    circuit: Circuit = field(default_factory=Circuit)
    joined: bool = False
    lag_records: int | None = None
    last_success_ms: int | None = None
    trouble: str | None = None  # of the last attempt; None: it succeeded

    def problem(self) -> str | None:
        if not self.joined:
            return "has no partition yet"
        return f"the destination does not answer: {self.trouble}" if self.circuit.is_open else None


class Deliverer:
    """`name` labels metrics and dead letters. `topics` says which input each topic is. With a larger share of dead letters
    than `dead_letter_share` the sink stops.
    """

    def __init__(
        self,
        name: str,
        sink: Sink,
        kafka: Log,
        topics: Mapping[str, Input],
        *,
        metrics: Metrics,
        now_ms: Callable[[], int],
        status: SinkStatus,
        dead_letter_share: float = DEFAULT_LIMIT,
    ) -> None:
        self._name = name
        self._sink = sink
        self._log = kafka
        self._topics = topics
        self._metrics = metrics
        self._now_ms = now_ms
        self._status = status
        self._share = DeadShare(dead_letter_share)

    async def handle(self, records: Sequence[Record]) -> None:
        """Deliver or dead-letter every record, then commit.

        Raises:
            TooManyDeadLettersError, and whatever a bug in the sink raises.
        """
        originals: list[Record] = []
        batch: list[Delivery] = []
        for record in records:
            try:
                batch.append(decode_record(record, self._topics[record.topic]))
                originals.append(record)
            except UndecodableError as error:
                await self._write_dead_letter(record, error.reason, error.detail)
        try:
            await self._deliver(batch, originals)
        except StartOver as error:
            await self._start_over(error, records)
            return
        await self._log.commit(ends_of(records))

    async def _deliver(self, batch: list[Delivery], originals: list[Record]) -> None:
        while batch:
            series_size = len(batch)
            async for attempt in stamina.retry_context(
                on=self._wait_after,
                attempts=None,
                timeout=None,
                wait_initial=WAIT_INITIAL_SECONDS,
                wait_max=WAIT_MAX_SECONDS,
                wait_jitter=WAIT_JITTER_SECONDS,
            ):
                if len(batch) < series_size:
                    break  # something got through: the waits grow from the start again
                with attempt:
                    await self._attempt(batch, originals)

    async def _attempt(self, batch: list[Delivery], originals: list[Record]) -> None:
        """Deliver from the front of `batch`, and take off what is done with."""
        size = self._status.circuit.attempt_size(len(batch))
        began = asyncio.get_running_loop().time()
        try:
            await self._sink.deliver(batch[:size])
        except RetryLater as error:
            self._confirmed(batch, originals, error.done)
            if error.done:
                self._answered()
            raise
        except Undeliverable as error:
            self._confirmed(batch, originals, error.done)
            await self._write_dead_letter(originals[0], UNDELIVERABLE, error.reason)
            del batch[0], originals[0]
        else:
            self._confirmed(batch, originals, size)
        finally:
            self._metrics.observe(
                "leadstream_sink_attempt_seconds", asyncio.get_running_loop().time() - began, sink=self._name
            )
        self._answered()

    def _wait_after(self, error: Exception) -> bool | float:
        """Stamina's question: whether to try again, and after how many seconds (True: its own growing wait)."""
        if not isinstance(error, RetryLater):
            return False
        circuit = self._status.circuit
        seconds = circuit.failed(error.after_seconds)
        self._status.trouble = error.reason
        self._metrics.count("leadstream_sink_retries_total", sink=self._name)
        self._metrics.set("leadstream_sink_circuit_open", float(circuit.is_open), sink=self._name)
        log.warning("sink %s: %s; attempt %d failed, it waits", self._name, error.reason, circuit.failures)
        return True if seconds is None else seconds

    def _answered(self) -> None:
        """The destination answered: an Undeliverable is an answer too."""
        self._status.circuit.succeeded()
        self._status.trouble = None
        self._metrics.set("leadstream_sink_circuit_open", 0, sink=self._name)

    def _confirmed(self, batch: list[Delivery], originals: list[Record], done: int) -> None:
        if done == 0:
            return
        now = self._now_ms()
        for each in batch[:done]:
            self._share.add(1, 0)
            delay = max(now - each.timestamp_ms, 0) / 1000
            self._metrics.observe("leadstream_sink_delay_seconds", delay, sink=self._name)
        self._metrics.count("leadstream_sink_records_total", done, sink=self._name, outcome="delivered")
        self._metrics.set("leadstream_sink_last_success_timestamp_seconds", now / 1000, sink=self._name)
        self._status.last_success_ms = now
        del batch[:done], originals[:done]

    async def _write_dead_letter(self, record: Record, reason: str, detail: str) -> None:
        self._share.add(1, 1)
        if self._share.too_large:
            place = f"{record.topic}/{record.partition}/{record.offset}"
            why = self._share.why_it_stops("sinks.dead_letter_share", place, reason, detail)
            raise TooManyDeadLettersError(f"sink {self._name} stops: {why}")
        await self._log.write_dead_letter(
            dead_letter(record, record.topic, record.partition, step=f"sink.{self._name}", reason=reason, detail=detail)
        )
        self._metrics.count("leadstream_sink_dead_letters_total", sink=self._name, reason=reason)
        self._metrics.count("leadstream_sink_records_total", sink=self._name, outcome="dead_lettered")

    async def _start_over(self, error: StartOver, records: Sequence[Record]) -> None:
        log.warning("sink %s: %s; reading its topics from their beginning", self._name, error)
        self._metrics.count("leadstream_sink_restarts_from_beginning_total", sink=self._name)
        await self._log.rewind(None if error.everything else frozenset(ends_of(records)))


def decode_record(record: Record, input_: Input) -> Delivery:
    """The record as a sink takes it.

    Raises:
        UndecodableError: with the reason of its dead letter.
    """
    if record.key is None:
        raise UndecodableError("bad_key", "the record has no key")
    kind, value = (None, None) if record.value is None else decode(record.value)
    if kind is None and None not in KINDS[input_]:
        raise UndecodableError("empty", "the record has no value")
    if kind not in KINDS[input_]:
        raise UndecodableError("unknown_schema", f"a {kind} does not belong on {record.topic}")
    return Delivery(record.topic, record.partition, record.offset, record.key, kind, value, record.timestamp)


def ends_of(records: Sequence[Record]) -> dict[Place, int]:
    """The next offset of each partition; records of a partition are in order."""
    return {(record.topic, record.partition): record.offset + 1 for record in records}
