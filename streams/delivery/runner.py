"""One sink as a process: a plain Kafka consumer in a group of its own, `streams/delivery/delivery.py`, and an orderly end."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from schemas.codec import encode
from schemas.metrics import Metrics
from schemas.records import DeadLetter
from sinks.base import Input, Sink
from streams.delivery.dead_share import DEFAULT_LIMIT
from streams.delivery.delivery import Deliverer, Place, Record, SinkStatus
from streams.delivery.watch import STANDSTILL_SECONDS, SinkStandsStillError, watch
from streams.kafka.topics import Topics

log = logging.getLogger(__name__)

POLL_MS = 200
GRACE_SECONDS = 10.0  # for the attempt that runs when the stop comes
NEVER_MS = 2**31 - 1


@dataclass(frozen=True, slots=True)
class SinkRun:
    """What a sink process is told. `kafka`: keyword arguments of every aiokafka client (servers, TLS, SASL).

    `dead_letter_share`: the sink stops above it. `fetch_wait_ms`: how long a broker may hold a fetch that finds nothing;
    the embedded one answers only at its end.
    """

    name: str
    topics: Topics
    kafka: Mapping[str, Any] = field(repr=False)  # may hold a password
    session_timeout_ms: int = 10_000
    batch_records: int = 200
    fetch_wait_ms: int = 500
    dead_letter_share: float = DEFAULT_LIMIT

    @property
    def group(self) -> str:
        return self.topics.sink_group(self.name)

    def inputs_of(self, sink: Sink) -> dict[str, Input]:
        """The topics that the sink reads, by name."""
        names: dict[str, Input] = {self.topics.transitions: "transitions", self.topics.scores: "scores"}
        return {name: input_ for name, input_ in names.items() if input_ in sink.inputs}


async def run_sink(
    run: SinkRun,
    sink: Sink,
    *,
    metrics: Metrics,
    now_ms: Callable[[], int],
    stop: asyncio.Event,
    status: SinkStatus | None = None,
    from_beginning: bool = False,
) -> None:
    """Deliver until `stop` is set; then the running attempt ends, what took effect is committed, the group is left.

    `from_beginning` reads every partition again from its first record, once: how a read model is rebuilt.

    Raises:
        KafkaError: Kafka cannot be reached at the start, or a dead letter or commit failed.
        SinkStoppedError: it has more dead letters than it may, or stands still.
    """
    status = status or SinkStatus()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(sink.close)
        await sink.open()
        producer = AIOKafkaProducer(**run.kafka, acks="all", compression_type="gzip", max_request_size=2 << 20)
        stack.push_async_callback(_ended, producer, "producer")
        await producer.start()
        consumer = _consumer(run)
        stack.push_async_callback(_ended, consumer, "consumer")
        await consumer.start()
        kafka = _KafkaLog(run, consumer, producer)
        inputs = run.inputs_of(sink)
        deliverer = Deliverer(
            run.name,
            sink,
            kafka,
            inputs,
            metrics=metrics,
            now_ms=now_ms,
            status=status,
            dead_letter_share=run.dead_letter_share,
        )
        loop = _Loop(run, consumer, deliverer, status, from_beginning=from_beginning)
        consumer.subscribe(list(inputs), listener=loop)
        stopping = asyncio.create_task(stop.wait())
        delivering = asyncio.create_task(loop.run(stopping))
        watching = asyncio.create_task(watch(run.name, consumer, loop.in_flight, status, metrics))
        stack.push_async_callback(_cancelled, [delivering, watching, stopping])
        await asyncio.wait({delivering, watching, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if stopping.done() and loop.in_flight:
            await asyncio.wait({delivering})  # not for a fetch, which waits as long as a rebalance does
        for task in (watching, delivering):
            if task.done():
                task.result()


def _consumer(run: SinkRun) -> Any:
    return AIOKafkaConsumer(
        **run.kafka,
        group_id=run.group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=run.session_timeout_ms,
        heartbeat_interval_ms=run.session_timeout_ms // 3,
        fetch_max_wait_ms=run.fetch_wait_ms,
        # While the destination is away nothing is fetched, for hours if need be; heartbeats go on beside it.
        max_poll_interval_ms=NEVER_MS,
        rebalance_timeout_ms=60_000,
        client_id=f"leadstream-sink-{run.name}",
    )


async def _ended(client: Any, name: str) -> None:
    """A consumer leaves its group. The broker forgets a member that cannot say goodbye when its session ends."""
    try:
        async with asyncio.timeout(GRACE_SECONDS):
            await client.stop()
    except TimeoutError:
        log.warning("the %s ended without the broker's answer", name)
    except Exception as error:  # noqa: BLE001  # of its own tasks; why this sink ends says more
        log.warning("the %s did not end well: %r", name, error)


async def _cancelled(tasks: "list[asyncio.Task[Any]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


class _KafkaLog:
    """`streams.delivery.delivery.Log` by aiokafka."""

    def __init__(self, run: SinkRun, consumer: Any, producer: Any) -> None:
        self._run = run
        self._consumer = consumer
        self._producer = producer

    async def write_dead_letter(self, letter: DeadLetter) -> None:
        key = letter["id"].encode()
        async with self._deadline("a dead letter"):
            await self._producer.send_and_wait(self._run.topics.dead_letters, encode("DeadLetter", letter), key=key)

    async def commit(self, ends: Mapping[Place, int]) -> None:
        try:
            async with self._deadline("a commit"):
                await self._consumer.commit({TopicPartition(*place): end for place, end in ends.items()})
        except (CommitFailedError, IllegalStateError) as error:
            # The partitions went to another process, which delivers these records again.
            log.warning("sink %s: not committed: %s", self._run.name, type(error).__name__)

    @asynccontextmanager
    async def _deadline(self, what: str) -> AsyncIterator[None]:
        """The client tries a commit again for ever."""
        try:
            async with asyncio.timeout(STANDSTILL_SECONDS):
                yield
        except TimeoutError as error:
            stops = f"sink {self._run.name} stops: {what} was not confirmed within {STANDSTILL_SECONDS:.0f} s"
            raise SinkStandsStillError(stops) from error

    async def rewind(self, places: frozenset[Place] | None) -> None:
        partitions = list(self._consumer.assignment()) if places is None else [TopicPartition(*p) for p in places]
        beginnings = await self._consumer.beginning_offsets(partitions)
        await self.commit({(each.topic, each.partition): offset for each, offset in beginnings.items()})
        for partition, offset in beginnings.items():
            self._consumer.seek(partition, offset)


class _Loop(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Fetch, deliver, again. A batch in flight is given up when its partitions are taken away."""

    def __init__(
        self,
        run: SinkRun,
        consumer: Any,
        deliverer: Deliverer,
        status: SinkStatus,
        *,
        from_beginning: bool,
    ) -> None:
        self._run = run
        self._consumer = consumer
        self._deliverer = deliverer
        self._status = status
        self._from_beginning = from_beginning
        self._rewound: set[TopicPartition] = set()
        self._task: asyncio.Task[None] | None = None
        self.in_flight: dict[Place, int] = {}

    async def run(self, stopping: "asyncio.Task[bool]") -> None:
        """Until `stopping` is done."""
        while not stopping.done():
            if records := await self._fetch():
                await self._deliver(records, stopping)

    async def _fetch(self) -> list[Record]:
        try:
            fetched = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=self._run.batch_records)
        except (KafkaError, MemoryError) as error:  # of the client's own tasks, which do not come back
            raise SinkStandsStillError(f"sink {self._run.name} stops: it cannot fetch any more: {error!r}") from error
        return [record for batch in fetched.values() for record in batch]

    async def _deliver(self, records: list[Record], stopping: "asyncio.Task[bool]") -> None:
        for record in reversed(records):
            self.in_flight[record.topic, record.partition] = record.offset
        self._task = task = asyncio.create_task(self._deliverer.handle(records))
        try:
            await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({task}, timeout=0 if self._status.trouble else GRACE_SECONDS)
        finally:
            self._task = None
            task.cancel()
            await asyncio.wait({task})
            self.in_flight.clear()
        if not task.cancelled():
            task.result()

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:  # noqa: ARG002 - aiokafka's signature
        """Another process may get them: it must not find us still delivering."""
        self._status.joined = False
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        if self._from_beginning and (fresh := set(assigned) - self._rewound):
            for partition, offset in (await self._consumer.beginning_offsets(list(fresh))).items():
                self._consumer.seek(partition, offset)
            self._rewound |= fresh
        topics = ", ".join(sorted({tp.topic for tp in assigned}))
        share = f"{len(assigned)} partitions of {topics}" if assigned else "nothing: others have all partitions"
        log.info("sink %s: delivers %s", self._run.name, share)
        self._status.joined = True
