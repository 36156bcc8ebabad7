"""Faust's transport, one fetched batch at a time. Only translation: what to do is decided in modules without Faust.

README.md beside this file says, per override, which method it replaces and why.
"""

import asyncio
import time
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol, TypeVar

from aiokafka.errors import CommitFailedError, IllegalStateError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust import Monitor, Schema
from faust.transport.consumer import Consumer as FaustConsumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage
from mode.threads import WorkerThread

from streams.engine.pacing import Pacing
from streams.engine.partitions import Batch, Partitions
from streams.engine.settings import EngineSettings

T = TypeVar("T")


class Owner(Protocol):
    """The engine, as the transport sees it."""

    settings: EngineSettings
    partitions: Partitions

    async def checkpoint(self) -> bool: ...
    async def revoke(self) -> None: ...


class BatchScheduler:
    """`ConsumerScheduler` that hands out lists of records instead of records."""

    def iterate(self, records: Mapping[TP, list[Any]]) -> Iterator[tuple[TP, list[Any]]]:
        return iter(records.items())


class BatchSchema(Schema[Any, Any]):
    """Passes the batch through; nothing is decoded before the fold."""

    def compile(self, app: Any, **_: Any) -> Any:
        create_event = app.create_event

        async def decode(message: Any, *, propagate: bool = False) -> Any:  # noqa: ARG001 - Faust passes it
            return create_event(None, message.value, None, message)

        return decode


class SilentMonitor(Monitor):
    """No bookkeeping per message: the worker counts records itself."""

    def on_message_in(self, *_: Any) -> None: ...
    def on_message_out(self, *_: Any) -> None: ...
    def on_stream_event_in(self, *_: Any) -> None: ...
    def on_stream_event_out(self, *_: Any) -> None: ...
    def track_tp_end_offset(self, *_: Any) -> None: ...


class DaemonThread(WorkerThread):
    """Lets the process end when the consumer thread hangs."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.daemon = True


class PausingListener(driver.ConsumerRebalanceListener):
    """Holds new partitions until recovery has told where to start."""

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        consumer = self._thread._ensure_consumer()
        for tp in assigned:
            # A position at once, so that aiokafka looks for no committed offset; nothing is fetched while paused.
            consumer.pause(tp)
            consumer.seek(tp, 0)
        await super().on_partitions_assigned(assigned)


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread with aiokafka's group consumer; heartbeats live here and never wait for the fold."""

    Worker = DaemonThread

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        settings: EngineSettings = transport.owner.settings
        # Faust hard-codes 1,500 ms; read by `consumer.start`.
        consumer._fetch_max_wait_ms = settings.fetch_wait_ms
        self._pacing = Pacing(settings.fetch_pause_ms / 1000, full=settings.batch_records)
        return consumer

    async def getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's
        await asyncio.sleep(self._pacing.pause_seconds(time.monotonic()))
        records = await super().getmany(active_partitions, timeout)
        if records:
            self._pacing.delivered(sum(map(len, records.values())), time.monotonic())
        return records

    async def _in_thread(self, work: Coroutine[Any, Any, T]) -> T:
        """Beside the queue of `call_thread`, whose two workers may both wait for a fetch."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.thread_loop))

    async def start_at(self, offsets: Mapping[TP, int]) -> None:
        """Seek and begin to fetch."""
        await self._in_thread(self._start_at(offsets))

    async def _start_at(self, offsets: Mapping[TP, int]) -> None:
        consumer = self._ensure_consumer()
        for tp, offset in offsets.items():
            tp = TopicPartition(*tp)  # noqa: PLW2901 - aiokafka takes no Faust TP
            consumer.seek(tp, offset)
            consumer.resume(tp)

    async def committed(self, tps: Iterable[TP]) -> dict[TP, int | None]:
        """Committed offsets, asked of the group now."""
        return await self._in_thread(self._committed(list(tps)))

    async def _committed(self, tps: Sequence[TP]) -> dict[TP, int | None]:
        consumer = self._ensure_consumer()
        return {tp: await consumer.committed(TopicPartition(*tp)) for tp in tps}

    async def is_member(self, generation: int, timeout_seconds: float) -> bool:
        """True if the group answers a heartbeat of this generation within the time."""
        return await self._in_thread(self._is_member(generation, timeout_seconds))

    async def _is_member(self, generation: int, timeout_seconds: float) -> bool:
        coordinator = self._ensure_consumer()._coordinator
        give_up_at = time.monotonic() + timeout_seconds
        while coordinator.generation == generation:
            left = give_up_at - time.monotonic()
            if left <= 0:
                coordinator.request_rejoin()
                return False
            try:
                async with asyncio.timeout(left):
                    await coordinator.ensure_coordinator_known()
                    if await coordinator._do_heartbeat():
                        return bool(coordinator.generation == generation)
            except TimeoutError:
                continue
            await asyncio.sleep(0.1)
        return False

    async def commit_of(self, offsets: Mapping[TP, int], generation: int) -> bool:
        """Commit for this generation. False: rebalanced. Raises any other error."""
        return await self._in_thread(self._commit_of(offsets, generation))

    async def _commit_of(self, offsets: Mapping[TP, int], generation: int) -> bool:
        consumer = self._ensure_consumer()
        if consumer._coordinator.generation != generation:
            return False
        try:
            await consumer.commit(
                {TopicPartition(*tp): OffsetAndMetadata(offset, "") for tp, offset in offsets.items()}
            )
        except (CommitFailedError, IllegalStateError):  # aiokafka: rebalanced; not assigned any more
            return False
        return True

    def group_error(self) -> BaseException | None:
        """Why aiokafka does nothing for the group any more: its task ended, or waits until somebody takes the error, which
        only a fetch does, and without partitions there is none. None: it works, or has not begun.
        """
        coordinator = None if self._consumer is None else self._consumer._coordinator
        if coordinator is None:
            return None
        task = coordinator._coordination_task
        ended: BaseException | None = task.exception() if task.done() and not task.cancelled() else None
        return ended or coordinator._pending_exception

    def fetched_at(self, tp: TP) -> float | None:
        """Unix time of the last answered fetch of a partition, in seconds."""
        state = self._assignment_state(tp)
        return None if state is None or state.timestamp is None else state.timestamp / 1000

    def known_highwater(self, tp: TP) -> int | None:
        state = self._assignment_state(tp)
        return None if state is None else state.highwater

    def _assignment_state(self, tp: TP) -> Any:
        subscription = self._ensure_consumer()._subscription.subscription
        if subscription is None or subscription.assignment is None or tp not in subscription.assignment.tps:
            return None
        return subscription.assignment.state_value(TopicPartition(*tp))


class Consumer(driver.Consumer):
    """Faust's consumer; a message is a batch, a commit is a checkpoint."""

    RebalanceListener: ClassVar[Any] = PausingListener
    _thread: ConsumerThread

    @property
    def owner(self) -> Owner:
        owner: Owner = self.transport.owner  # type: ignore[attr-defined]  # our Transport
        return owner

    @property
    def thread(self) -> ConsumerThread:
        return self._thread

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        records = record  # what BatchScheduler yields
        partition = self.owner.partitions.get(tp.partition)
        batch = Batch.accepted(partition, records)
        if partition is not None:
            partition.highwater = self._thread.known_highwater(tp) or partition.highwater
        last = records[-1]
        return ConsumerMessage(
            tp.topic, tp.partition, last.offset, last.timestamp / 1000, last.timestamp_type, None, None,
            batch,  # type: ignore[arg-type]  # BatchSchema takes it
            None, tp=tp, generation_id=self.app.consumer_generation_id,
        )  # fmt: skip

    def on_buffer_full(self, tp: TP) -> None: ...

    def on_buffer_drop(self, tp: TP) -> None: ...

    async def perform_seek(self) -> None:
        topic = self.owner.settings.events_topic
        await self._thread.start_at({TP(topic, p.number): p.expected_offset for p in self.owner.partitions})

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: ARG002 - Faust's
        return await self.owner.checkpoint()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        self.hold()
        await self.owner.revoke()
        if not self.app.should_stop:
            await super().on_partitions_revoked(revoked)

    def hold(self) -> None:
        """Stop the flow and empty the queues, so that nothing is folded any more."""
        self.stop_flow()
        self.app.flow_control.suspend()
        self.app.flow_control.clear()

    def verify_event_path(self, now: float, tp: TP) -> None: ...


class Producer(driver.Producer):
    """Faust's producer with confirmed, where possible idempotent, writes."""

    def _settings_extra(self) -> Mapping[str, Any]:
        owner: Owner = self.transport.owner  # type: ignore[attr-defined]  # our Transport
        return {"acks": "all", "enable_idempotence": owner.settings.idempotence}

    @property
    def client(self) -> Any:
        """The started aiokafka producer."""
        return self._ensure_producer()


class Transport(driver.Transport):
    Consumer: ClassVar[type[FaustConsumer]] = Consumer
    Producer: ClassVar[Any] = Producer

    def __init__(self, url: Any, app: Any, owner: Owner) -> None:
        super().__init__(url, app)
        self.owner = owner
