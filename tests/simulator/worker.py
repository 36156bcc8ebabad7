"""The product's own worker between a simulated consumer and a simulated producer: all but Faust and aiokafka is real."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

from faust.types import TP

from processors.fold_partition import PartitionFold
from schemas.codec import Kind
from schemas.records import LogRecord
from streams.delivery.dead_share import NEVER, DeadShare
from streams.engine.app import RebalanceAgain
from streams.engine.partitions import Batch
from streams.engine.recovery import LogBounds, Recovery
from streams.engine.settings import EngineSettings
from streams.engine.worker import Worker
from streams.scoring_state import ScoringState
from tests.simulator.loop import SimulatedLoop
from tests.simulator.world import Logged, Request, World
from tests.streams.engine.doubles import CountingMetrics

TOPICS: dict[Kind, str] = {
    "StageTransition": "transitions",
    "LeadSnapshot": "scores",
    "ModelActivated": "scores",
    "DeadLetter": "dead-letters",
}
SETTINGS = EngineSettings("simulated", "events", "rows", tuple(sorted(set(TOPICS.values()))), batch_records=6)
RECORDS_PER_REQUEST = 4
RUNNING: ContextVar[str] = ContextVar("RUNNING")  # whose code runs


class BrokerError(Exception):
    """An answer that is an error."""


@dataclass
class SimulatedClock:
    world: World

    def now_ms(self) -> int:
        return self.world.now_ms


class SimulatedBatch:
    def __init__(self) -> None:
        self.records: list[tuple[bytes, bytes | None]] = []

    def append(self, *, timestamp: int | None, key: bytes, value: bytes | None) -> object | None:
        if len(self.records) == RECORDS_PER_REQUEST:
            return None
        self.records.append((key, value))
        return self

    def record_count(self) -> int:
        return len(self.records)

    def close(self) -> None: ...


class SimulatedWorker(Worker):
    """`name` is its identity in the group. It acts only when one of its methods is called or a request is answered."""

    def __init__(self, name: str, world: World, loop: SimulatedLoop) -> None:
        self.name = name
        self.world = world
        self.loop = loop
        self.metrics = CountingMetrics()
        self.numbers: list[int] = []
        self.buffered: list[Batch] = []
        self.paused = False
        self.held = False  # its flow is stopped until it takes partitions
        self.dead = False
        self._ends: dict[int, int] = {}  # of the changelog, as read
        self.ending: asyncio.Task[Any] | None = None  # after SIGTERM: its last checkpoint
        self.giving_up: asyncio.Task[Any] | None = None  # in a rebalance
        self.committing: asyncio.Task[Any] | None = None
        self._context = copy_context()
        self._context.run(RUNNING.set, name)
        super().__init__(SETTINGS, self._new_state, SimulatedClock(world), self.metrics)
        self._app = SimpleNamespace(producer=SimpleNamespace(client=self), consumer_generation_id=0)
        self._recovery = Recovery(self, self._new_state, self.metrics, events_topic="events", changelog_topic="rows")
        self.spawn(self._sender.run())

    def _new_state(self, number: int) -> ScoringState:
        return ScoringState(
            PartitionFold("events", number, self.world.partitions), number, TOPICS, self.metrics, DeadShare(NEVER)
        )

    def spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        def ended(task: "asyncio.Task[Any]") -> None:
            if not self.dead and not task.cancelled() and task.exception() is not None:
                self.world.broken.append(f"{self.name}: a task ended with {task.exception()!r}")

        task: asyncio.Task[Any] = self._context.run(self.loop.create_task, work)
        task.add_done_callback(ended)
        return task

    @property
    def failure(self) -> str:
        return self._vitals.failure

    # --- what the schedule does to it ---

    def fetch(self, number: int, count: int) -> None:
        partition = self.partitions.get(number)
        log = self.world.log[number]
        if partition is not None and partition.expected_offset < len(log):
            records = log[partition.expected_offset : partition.expected_offset + count]
            partition.highwater = len(log)
            self.buffered.append(Batch.accepted(partition, records))

    def fold(self) -> None:
        self.spawn(self._fold(self.buffered.pop(0)))

    def commit(self) -> None:
        self.committing = self.spawn(self.checkpoint())

    def tick(self) -> None:
        self._context.run(self._ticker.tick)

    @property
    def owes(self) -> bool:
        return any(partition.next_offset != partition.committed_offset for partition in self.partitions)

    def give_up(self) -> None:
        """In a rebalance: make durable what is folded, and forget all partitions."""
        self._hold()
        self.giving_up = self.spawn(self.revoke())

    def end(self) -> None:
        """SIGTERM."""
        self._hold()
        self.ending = self.spawn(self.revoke())

    def _hold(self) -> None:
        self.held = True
        self.buffered.clear()

    def pause(self) -> None:
        """SIGSTOP: what it has sent still arrives, no answer is read."""
        self.paused = True

    def go_on(self) -> None:
        self.paused = False

    def take(self, generation: int, numbers: list[int]) -> None:
        self._app.consumer_generation_id, self.numbers, self.held = generation, numbers, False

        async def assigned() -> None:
            with contextlib.suppress(RebalanceAgain):
                await self._on_assigned()

        self.spawn(assigned())

    # --- Faust's app and consumer, and its thread, as the worker uses them ---

    @property
    def _consumer(self) -> Any:
        return SimpleNamespace(assignment=lambda: {TP("events", number) for number in self.numbers})

    @property
    def _thread(self) -> Any:
        return self

    async def committed(self, tps: Iterable[TP]) -> dict[TP, int | None]:
        committed = self.world.group.committed
        return await self._ask("committed", lambda: {tp: committed.get(tp.partition) for tp in tps})  # type: ignore[no-any-return]  # as asked

    async def is_member(self, generation: int, timeout_seconds: float) -> bool:
        return bool(await self._ask("heartbeat", lambda: self.world.group.knows(self.name, generation)))

    async def commit_of(self, offsets: Mapping[TP, int], generation: int) -> bool:
        numbers = {tp.partition: offset for tp, offset in offsets.items()}
        return bool(await self._ask(f"commit {numbers}", lambda: self.world.commit(self.name, numbers, generation)))

    # --- aiokafka's producer ---

    def create_batch(self) -> SimulatedBatch:
        return SimulatedBatch()

    async def send_batch(self, batch: SimulatedBatch, topic: str, *, partition: int) -> Any:
        def apply() -> Any:
            return SimpleNamespace(offset=self.world.produce(topic, partition, batch.records))

        return self._request(f"{len(batch.records)} to {topic}[{partition}]", apply, (self.name, topic, partition))

    async def partitions_for(self, topic: str) -> set[int]:
        return set(range(self.world.partitions))

    # --- `RecoverySource` ---

    async def changelog(self, partitions: Sequence[int]) -> AsyncIterator[tuple[int, Sequence[LogRecord]]]:
        for number in partitions:
            end = 0
            while records := await self._ask(f"read rows[{number}]", partial(self._next_rows, number, end)):
                end += len(records)
                yield number, records
            self._ends[number] = end

    def _next_rows(self, number: int, start: int) -> list[Logged]:
        return self.world.changelog[number][start : start + 2 * RECORDS_PER_REQUEST]

    def changelog_end(self, partition: int) -> int:
        return self._ends[partition]

    async def log_bounds(self, partitions: Sequence[int]) -> Mapping[int, LogBounds]:
        log = self.world.log
        return await self._ask("ends", lambda: {number: LogBounds(0, len(log[number])) for number in partitions})  # type: ignore[no-any-return]  # as asked

    # --- requests ---

    async def _ask(self, name: str, apply: Any) -> Any:
        return await self._request(name, apply, None)

    def _request(self, name: str, apply: Any, queue: tuple[str, str, int] | None) -> Any:
        answer = self.loop.create_future()

        def give(result: Any) -> None:
            if not answer.done():
                answer.set_result(result)

        def fail(error: BaseException) -> None:
            if not answer.done():
                answer.set_exception(error)
                answer.exception()  # whoever waits gets it; nobody has to

        self.world.requests.append(Request(name, self.name, apply, give, fail, queue))
        return answer
