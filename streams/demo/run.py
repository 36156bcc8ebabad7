"""One run of the demo, from the start of the parts to the report."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from processors.active_model import ActiveModel
from processors.model_log import pack_model, read_model_record
from processors.models import load_shipped
from streams.clock import DAY_MS, PlayedClock, SystemClock
from streams.delivery.delivery import SinkStatus
from streams.demo.alerts import DemoChannel, ShownAlert, run_alerts
from streams.demo.latency import Outage, Samples, quantiles
from streams.demo.player import Player
from streams.demo.probe import Probe
from streams.demo.report import Counts, DemoReport, TakeOver, scored_events
from streams.demo.site import site_requests
from streams.demo.view import Moment, View
from streams.metrics import PrometheusMetrics
from streams.settings.brokers import read_brokers
from streams.settings.config import Collector, Play, Settings, topics_of
from streams.stack import PARTITIONS, Stack
from streams.supervise import PartEndedError
from streams.verification.verify import verify

START_MS: Final = 1_772_409_600_000  # 2 March 2026, 00:00 UTC: the first Monday of the reference model's campaign
STARTING_SECONDS: Final = 9.0  # about what the parts need; the site opens then, or as soon as they are there
REFRESH_SECONDS: Final = 0.25
RATE_SECONDS: Final = 2.0  # events/s are counted over so long
SCORED_SECONDS: Final = 30.0  # by then every event must have its score
TICK_SECONDS: Final = 2.0  # ticks are written once a second: what was due at the end has then been fired
_REAL: Final = SystemClock()


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """`port` 0: a free one. `keep`: go on after the report until cancelled."""

    days: int = 60
    seed: int = 7
    port: int = 8080
    keep: bool = False


class Demo:
    """Plays the site once. `view` is told of everything; `logs` takes the output of the parts."""

    def __init__(self, options: DemoOptions, view: View, logs: Path) -> None:
        self._options = options
        self._view = view
        self._logs = logs
        self._began = time.monotonic()
        self._model = load_shipped("reference")
        self._outage = Outage()
        self._alert_samples = Samples(self._outage)
        self._alerts_total = 0
        self._end_ms = 0
        self._first_alert_seconds: float | None = None
        self._joined = SinkStatus()
        self._take_over: TakeOver | None = None
        self._killed = ""  # the part that was killed on purpose
        self._ended = ""  # parts that ended by themselves, with their last lines
        self._rates: deque[tuple[float, int]] = deque([(self._began, 0)])

    async def run(self, on_report: Callable[[DemoReport], None]) -> DemoReport:
        """Everything; `on_report` is called when the report is there, before the parts are stopped.

        Raises:
            StartError: a part did not come up.
            PartEndedError: a part ended that nobody had killed.
            OSError, KafkaError: a part does not answer.
        """
        try:
            async with asyncio.TaskGroup() as measuring:
                return await self._with_parts(measuring, on_report)
        except ExceptionGroup as group:
            if self._ended:
                raise PartEndedError(self._ended) from group
            raise _first(group) from None

    async def _with_parts(self, measuring: asyncio.TaskGroup, on_report: Callable[[DemoReport], None]) -> DemoReport:
        anchor_ms = _REAL.now_ms() + int(STARTING_SECONDS * 1000)
        settings = Settings(collector=Collector(port=self._options.port), play=Play(START_MS, anchor_ms, 1.0))
        clock = PlayedClock(START_MS, anchor_ms, 1.0)
        tasks: list[asyncio.Task[None]] = []

        def measure(stack: Stack) -> None:
            self._view.waiting_for("collector, worker and sinks start and join their groups, about 8 s")
            active = ActiveModel(read_model_record(pack_model(self._model)), 1, START_MS)
            self._probe = Probe(
                read_brokers(stack.settings.kafka),
                topics_of(settings),
                PARTITIONS,
                active,
                now_ms=_REAL.now_ms,
                outage=self._outage,
            )
            channel = DemoChannel(_REAL.now_ms, self._on_alert)
            alerts = run_alerts(stack.settings, active, channel, PrometheusMetrics(), self._joined)
            tasks.extend(measuring.create_task(one) for one in (self._probe.run(), alerts))

        try:
            self._view.waiting_for("broker and store start")
            async with Stack.running(
                settings, self._model, self._logs, self._step, sinks=("redis",), beside=measure
            ) as stack:
                try:
                    report = await self._play(stack, clock)
                    self._view.summary(report, self._options.days)
                    on_report(report)
                    if self._options.keep:
                        self._view.waiting_for(f"{stack.url} stays until Ctrl+C; a day still goes by every second")
                        await asyncio.Event().wait()
                    self._view.waiting_for("stopping")
                except BaseException:  # raised again; Ctrl-C, too, must see which parts ended before we end the rest
                    self._ended = _ended_parts(stack, self._killed)
                    raise
                else:
                    return report
                finally:
                    await _cancel(tasks)  # before the broker goes
        finally:
            await _cancel(tasks)

    async def _play(self, stack: Stack, clock: PlayedClock) -> DemoReport:
        await _until(lambda: self._joined.joined, SCORED_SECONDS, "the alerts sink did not get its partitions")
        self._step("sink alerts has its partitions")
        days, player = self._options.days, Player(stack.url, clock)
        opening_ms = _opening_ms(clock)
        self._end_ms = opening_ms + days * DAY_MS
        requests = site_requests(self._options.seed, days, opening_ms)
        self._view.waiting_for("the site opens")
        await player.until(opening_ms)
        self._view.opened(stack.url)
        async with asyncio.TaskGroup() as group:
            showing = group.create_task(self._show(player, clock, opening_ms))
            replacing = group.create_task(self._replace_worker(stack, player, (opening_ms + self._end_ms) // 2))
            await player.play(requests)
            await player.until(self._end_ms)
            await replacing
            await self._until_scored()
            showing.cancel()
        return await self._report(stack, player)

    async def _replace_worker(self, stack: Stack, player: Player, at_ms: int) -> None:
        """Kill the worker in the midst of its work, start another, and see how long that takes."""
        await player.until(at_ms)
        probe = self._probe
        in_flight = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(3.0):
                while in_flight == 0:  # a checkpoint was made just now: nothing would be seen of what a kill does
                    await _until(lambda: probe.waiting > 0, 1.0, "")
                    in_flight = await probe.uncommitted(probe.ends)
        killed_at = _REAL.now_ms()
        take_over = TakeOver(in_flight, probe.waiting)
        worker = stack.workers[-1]
        if worker.exit_code is not None:
            raise PartEndedError(_ended_parts(stack, ""))
        worker.kill()
        self._killed = f"worker-{len(stack.workers)}"
        self._outage.killed_at = killed_at
        successor = stack.start_worker()
        self._view.killed(take_over)
        await stack.until_ready(f"worker-{len(stack.workers)}", successor)
        ready_at = _REAL.now_ms()
        take_over = replace(take_over, ready_seconds=(ready_at - killed_at) / 1000)
        self._view.taken_over(take_over)
        with contextlib.suppress(TimeoutError):
            await _until(lambda: probe.waiting_before(ready_at) == 0, SCORED_SECONDS, "")
            self._outage.caught_up_at = _REAL.now_ms()
            take_over = replace(take_over, caught_up_seconds=(self._outage.caught_up_at - killed_at) / 1000)
        self._take_over = take_over
        self._view.caught_up(take_over)

    async def _until_scored(self) -> None:
        """Everything has its score, what was due has been fired, and the worker has written it all down.

        What is not done in time is left to `verify`, which finds it.
        """
        with contextlib.suppress(TimeoutError):
            await _until(lambda: self._probe.waiting == 0, SCORED_SECONDS, "")
        await asyncio.sleep(TICK_SECONDS)
        ends = self._probe.ends
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SCORED_SECONDS):
                while await self._probe.uncommitted(ends):  # noqa: ASYNC110 - a broker sends no asyncio event
                    await asyncio.sleep(0.1)

    async def _report(self, stack: Stack, player: Player) -> DemoReport:
        self._view.waiting_for("verify folds the whole log again")
        found = await verify(read_brokers(stack.settings.kafka), topics_of(stack.settings), PARTITIONS)
        counts = Counts(player.acknowledged, self._probe.events, player.refused)
        # The clock runs on while this is written: what happened after the end is not part of the play.
        moves = [move for move in self._probe.moves.values() if move.at <= self._end_ms]
        return DemoReport(
            accepted=player.accepted,
            scored=scored_events(counts, found),
            left_out=found.dropped,
            lost=counts.missing + found.lost,
            counted_twice=found.counted_twice,
            refused=counts.refused,
            leads=found.leads,
            transitions=len(moves),
            mqls=sum(move.to_stage == "mql" for move in moves),
            exits=sum(move.announced_ms is not None for move in moves),
            exits_as_announced=sum(move.as_announced for move in moves),
            alerts=self._alerts_total,
            request_to_score=quantiles(self._probe.scores.running),
            request_to_alert=quantiles(self._alert_samples.running),
            delayed=quantiles(self._probe.scores.delayed),
            first_alert_seconds=self._first_alert_seconds,
            take_over=self._take_over,
            verify=found,
        )

    async def _show(self, player: Player, clock: PlayedClock, opening_ms: int) -> None:
        while True:
            now = time.monotonic()
            self._rates.append((now, player.accepted))
            while now - self._rates[0][0] > RATE_SECONDS:
                self._rates.popleft()
            (since, before), now_ms = self._rates[0], clock.now_ms()
            self._view.moment(
                Moment(
                    now_ms=now_ms,
                    day=min((now_ms - opening_ms) // DAY_MS, self._options.days),
                    days=self._options.days,
                    accepted=player.accepted,
                    per_second=(player.accepted - before) / max(now - since, REFRESH_SECONDS),
                    waiting=self._probe.waiting + player.in_air,
                    to_score=quantiles(self._probe.scores.running),
                    to_alert=quantiles(self._alert_samples.running),
                    stages=self._probe.leads_by_stage(),
                )
            )
            await asyncio.sleep(REFRESH_SECONDS)

    def _step(self, text: str) -> None:
        self._view.step(text, time.monotonic() - self._began)

    def _on_alert(self, alert: ShownAlert) -> None:
        transition = alert.transition
        if transition["at"] > self._end_ms and not self._options.keep:
            return
        if self._first_alert_seconds is None:
            self._first_alert_seconds = round(time.monotonic() - self._began, 1)
        self._alerts_total += transition["at"] <= self._end_ms
        sent_at = self._probe.sent_at.get(transition["cause_event_id"])
        if transition["cause"] == "act" and sent_at is not None:
            self._alert_samples.add(sent_at, alert.told_at)
        self._view.alert(alert.text.lines, transition)


def _opening_ms(clock: PlayedClock) -> int:
    """The planned start, or the next midnight if the parts took longer."""
    late_ms = clock.now_ms() - START_MS
    return START_MS + max(0, -(-late_ms // DAY_MS)) * DAY_MS


async def _until(holds: Callable[[], bool], seconds: float, otherwise: str) -> None:
    """Return when `holds()`.

    Raises:
        TimeoutError: it did not in time; says `otherwise`.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(otherwise)
        await asyncio.sleep(0.01)


def _ended_parts(stack: Stack, killed: str) -> str:
    """Parts that have ended without being told to, with their last lines."""
    return "; ".join(
        f"{name} ended with exit code {child.exit_code}, its last line: {stack.last_line(name)}"
        for name, child in stack.parts.items()
        if child.exit_code is not None and name != killed
    )


def _first(error: Exception) -> Exception:
    """What came first: it has ended the others."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
