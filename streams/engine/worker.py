"""A worker process: puts the engine together, runs it until a signal or a failure, tells how it is."""

import asyncio
import contextlib
import gc
import logging
import signal
import time
from collections.abc import Callable, Coroutine
from typing import Any

from aiokafka.errors import KafkaError
from faust.types import TP

from schemas.metrics import Metrics
from streams.clock import Clock
from streams.engine.app import RebalanceAgain, make_app
from streams.engine.checkpoint import Checkpoint
from streams.engine.effects import KafkaEffects
from streams.engine.partitions import Batch, Partitions
from streams.engine.reader import LogReader
from streams.engine.recovery import Recovery
from streams.engine.sender import Sender, SendError
from streams.engine.settings import EngineSettings
from streams.engine.state import PartitionState, StopWorkerError
from streams.engine.ticks import Ticker
from streams.engine.transport import Consumer, ConsumerThread
from streams.engine.verdict import Limits, Vitals, verdict
from streams.engine.vital_signs import VitalSigns
from streams.watchdog import EXIT_STUCK, Watchdog

logger = logging.getLogger(__name__)

EXIT_UNREACHABLE = 3
PULSE_SECONDS = 0.5
PULSES_PER_TICK = 2
STOP_SECONDS = 5.0
LEFTOVER_SECONDS = 2.0


class Worker:
    """Folds `settings.events_topic` with a new state per assigned partition; `run` until it ends. `health` may be called
    from any thread.

    `state_factory` makes the empty memory of a partition from its number. `clock` decides when ticks are due; the fold
    itself reads only record timestamps.
    """

    def __init__(
        self, settings: EngineSettings, state_factory: Callable[[int], PartitionState], clock: Clock, metrics: Metrics
    ) -> None:
        self.settings = settings
        self._sender = Sender(
            lambda: self._app.producer.client, deadline_seconds=settings.send_deadline_seconds, on_failure=self.fail
        )
        self.partitions = Partitions(self._sender.send, metrics, batch_records=settings.batch_records)
        effects = KafkaEffects(settings, self._sender, lambda: self._thread)
        self._checkpoint = Checkpoint(self.partitions, effects, metrics, on_failure=self.fail)
        self._recovery = Recovery(
            LogReader(settings),
            state_factory,
            metrics,
            events_topic=settings.events_topic,
            changelog_topic=settings.changelog_topic,
        )
        self._ticker = Ticker(
            self.partitions,
            clock,
            lambda record, now_ms: self._sender.send([record], now_ms),
            metrics,
            events_topic=settings.events_topic,
        )
        self._vitals = Vitals()
        limits = Limits(settings.stall_seconds, settings.drain_seconds, settings.rebalance_timeout_seconds)
        self._watchdog = Watchdog("worker", settings.stall_seconds, lambda now: verdict(self._vitals, now, limits))
        self._signs = VitalSigns(
            self._vitals, self.partitions, self._checkpoint, self._recovery, metrics, events_topic=settings.events_topic
        )
        self._app: Any = None
        self._recovering: asyncio.Task[None] | None = None
        self._stop_requested = asyncio.Event()
        self._failed = asyncio.Event()
        self._recovered = False
        self._joins = False

    def run(self, on_started: Callable[[], Coroutine[Any, Any, None]] | None = None) -> int:
        """Work until SIGTERM, SIGINT or a failure.

        Args:
            on_started: an async function run beside the worker in its event loop, such as a health server.

        Returns:
            Exit code: 0 after a clean stop, 3 if the brokers cannot be reached at the start, 70 after a failure.
        """
        # Batches are many short-lived objects: the default threshold scans them over and over.
        gc.set_threshold(500_000, 20, 100)
        for name in ("faust", "mode", "aiokafka"):
            # A DEBUG record is built for each fetch even where no handler wants it.
            logging.getLogger(name).setLevel(max(logging.INFO, logging.getLogger(name).getEffectiveLevel()))
        # Not asyncio.run: at its end it cancels every task and waits for ever, and Faust restarts cancelled agents.
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        self._watchdog.beat()
        self._watchdog.start()
        try:
            return loop.run_until_complete(self._main(on_started))
        finally:
            if leftovers := asyncio.all_tasks(loop):
                for task in leftovers:
                    task.cancel()
                loop.run_until_complete(asyncio.wait(leftovers, timeout=LEFTOVER_SECONDS))
            self._watchdog.stop()

    def fail(self, reason: str) -> None:
        """Stop the process with exit code 70; nothing is committed any more."""
        if self._vitals.failed_at is None:
            self._vitals.failed_at = time.monotonic()
            self._vitals.failure = reason
            self._failed.set()
            logger.critical("worker stops: %s", reason)

    def request_stop(self) -> None:
        """As SIGTERM: last checkpoint, leave the group (not with an instance id: it keeps the partitions), exit code 0."""
        self._stop_requested.set()

    def health(self) -> dict[str, Any]:
        """Alive, ready and why not; per owned partition its lag and offsets."""
        partitions = list(self.partitions)
        return {
            "alive": self._vitals.failed_at is None,
            "ready": self._recovered and self._vitals.failed_at is None and self._vitals.stopping_at is None,
            "failure": self._vitals.failure or None,
            "events_total": self.partitions.events_total,
            "checkpoint_age_seconds": self._vitals.checkpoints.stuck_seconds(time.monotonic()),
            "partitions": {
                partition.number: {
                    "lag": partition.lag,
                    "next_offset": partition.next_offset,
                    "committed_offset": partition.committed_offset,
                }
                for partition in partitions
            },
        }

    async def checkpoint(self) -> bool:
        return not self._failed.is_set() and await self._checkpoint.run()

    async def revoke(self) -> None:
        """Make everything durable, then forget the partitions. Called before they are given up."""
        self._recovered = False
        if self._recovering is not None:
            self._recovering.cancel()
        await self.checkpoint()
        self.partitions.drop()

    @property
    def _consumer(self) -> Consumer:
        consumer: Consumer = self._app.consumer
        return consumer

    @property
    def _thread(self) -> ConsumerThread:
        return self._consumer.thread

    async def _main(self, on_started: Callable[[], Coroutine[Any, Any, None]] | None) -> int:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._on_lost_error)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.request_stop)
        self._app = make_app(self.settings, self, fold=self._fold, on_assigned=self._on_assigned)
        beside = [self._beside(self._pulse()), self._beside(self._sender.run())]
        if on_started is not None:
            beside.append(self._beside(on_started()))
        starting = asyncio.create_task(self._start_or_fail())
        ends = [asyncio.create_task(event.wait()) for event in (self._stop_requested, self._failed)]
        try:
            await asyncio.wait([*ends, starting], return_when=asyncio.FIRST_COMPLETED)
            if starting.done() and starting.result() != 0:
                return starting.result()
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            await self._stop()
            return EXIT_STUCK if self._failed.is_set() else 0
        finally:
            for task in (*beside, *ends, starting):
                task.cancel()

    def _on_lost_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Of an error that no task awaits. Without memory nothing else gets on either, so it is better to end early."""
        if isinstance(context.get("exception"), MemoryError):
            self.fail(f"no memory: {context['message']}")
        else:
            loop.default_exception_handler(context)

    def _beside(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run beside the worker; an error there ends it."""

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and task.exception() is not None:
                self.fail(f"a task beside the worker failed: {task.exception()!r}")

        task = asyncio.create_task(work)
        task.add_done_callback(ended)
        return task

    async def _start_or_fail(self) -> int:
        try:
            return await self._start()
        except SendError as error:
            self.fail(str(error))
        except Exception as error:  # noqa: BLE001 - fail-stop, also of a bug
            self.fail(f"cannot start: {error!r}")
        return EXIT_STUCK

    async def _start(self) -> int:
        """Exit code; 0: it runs."""
        settings = self.settings
        try:
            async with asyncio.timeout(settings.send_deadline_seconds):  # aiokafka asks for a producer id for ever
                await self._app.maybe_start_producer()
        except (KafkaError, OSError) as error:  # OSError: also those of TLS and TimeoutError
            self.fail(f"cannot reach a broker at {settings.bootstrap_servers}: {error!r}")
            return EXIT_UNREACHABLE
        events, rows, *_ = await self._sender.partition_counts(
            (settings.events_topic, settings.changelog_topic, *settings.output_topics)
        )
        if events != rows:
            self.fail(
                f"{settings.events_topic} has {events} partitions, {settings.changelog_topic} has {rows}: a "
                "partition's rows live under its own number. Say: leadstream topics check"
            )
            return EXIT_STUCK
        self._joins = True  # from here on: the start itself waits for the group
        await self._app.start()
        return 0

    async def _stop(self) -> None:
        """Last checkpoint (not after a failure), then the end of the consumer, which leaves the group if it has no id."""
        self._vitals.stopping_at = time.monotonic()
        with contextlib.suppress(Exception):  # it may not have come up, and the end goes on without it
            self._consumer.hold()
        owed = any(partition.next_offset != partition.committed_offset for partition in self.partitions)
        if not self._failed.is_set():
            try:
                async with asyncio.timeout(self.settings.drain_seconds):
                    owed = not await self._checkpoint.run() and owed
            except TimeoutError:
                self.fail(f"the last checkpoint was not done within {self.settings.drain_seconds:g} s")
        self.partitions.drop()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._app.stop()
        except TimeoutError:
            logger.warning("the group was not left within %g s; it will notice by itself", STOP_SECONDS)
        if not self._failed.is_set():
            end = (
                "who owns these partitions next folds the last records again"
                if owed
                else "all that was folded is durable"
            )
            logger.info("stopped; %s", end)

    async def _fold(self, batch: Batch) -> None:
        try:
            self.partitions.fold(batch)
        except StopWorkerError as error:
            self.fail(str(error))
            self.partitions.drop()  # as below
            return
        except Exception as error:  # a bug, whatever it is: the worker stops and nothing of the batch is committed
            logger.exception("fold failed")
            self.fail(f"fold of partition {batch.partition and batch.partition.number} failed: {error!r}")
            self.partitions.drop()  # what is half folded is never written
            return
        await self._sender.room()

    async def _on_assigned(self) -> None:
        """Recover what was assigned; `perform_seek` starts the fetches after this."""
        self._recovering = asyncio.create_task(self._recover())
        try:
            await asyncio.wait([self._recovering])
            if self._recovering.cancelled():
                raise RebalanceAgain
            error = self._recovering.exception()
            if error is not None:
                self.fail(f"recovery failed: {str(error) or repr(error)}")  # MemoryError has no text
                raise RebalanceAgain
        finally:
            self._recovering.cancel()
            self._recovering = None
        self._recovered = True

    async def _recover(self) -> None:
        generation = self._app.consumer_generation_id
        topic = self.settings.events_topic
        numbers = sorted(tp.partition for tp in self._consumer.assignment() if tp.topic == topic)
        committed = await self._thread.committed([TP(topic, number) for number in numbers])
        by_number = {tp.partition: offset for tp, offset in committed.items()}
        partitions = await self._recovery.recover(numbers, by_number, generation)
        self.partitions.own(partitions)
        logger.info("owns partitions %s from offsets %s", numbers, [partition.next_offset for partition in partitions])

    async def _pulse(self) -> None:
        while True:
            for _ in range(PULSES_PER_TICK):
                self._look()
                await asyncio.sleep(PULSE_SECONDS)
            if self._vitals.stopping_at is None:
                self._ticker.tick()

    def _look(self) -> None:
        self._watchdog.beat()
        if self._vitals.stopping_at is None:
            if self._app.crashed:
                self.fail(f"Faust crashed: {self._app.crash_reason!r}")
            if self._joins and (error := self._thread.group_error()) is not None:
                self.fail(f"no member of group {self.settings.group} any more: {error}")
        self._signs.read(self._app, joins=self._joins, recovering=self._recovering is not None)
