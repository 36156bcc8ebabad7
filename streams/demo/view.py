"""What a view of the demo shows, whatever it is shown on."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from schemas.records import StageTransition
from streams.demo.latency import Quantiles
from streams.demo.report import DemoReport, TakeOver

STAGES = ("visitor", "lead", "recycled", "mql")


@dataclass(frozen=True, slots=True)
class Moment:
    """The run at one moment; `now_ms` is simulated, `waiting` counts events without a score."""

    now_ms: int
    day: int
    days: int
    accepted: int
    per_second: float
    waiting: int
    to_score: Quantiles
    to_alert: Quantiles
    stages: Counter[str]

    @property
    def date(self) -> str:
        when = datetime.fromtimestamp(self.now_ms / 1000, UTC)
        return f"{when.day} {when:%B %Y}"


class View(Protocol):
    """Told of what happens, in order; `moment` comes several times a second."""

    def step(self, text: str, seconds: float) -> None:
        """A step of the start is done, so many seconds after the command."""

    def waiting_for(self, text: str) -> None:
        """Something takes its time from now on."""

    def opened(self, url: str) -> None: ...

    def moment(self, moment: Moment) -> None: ...

    def alert(self, lines: Sequence[str], transition: StageTransition) -> None: ...

    def killed(self, take_over: TakeOver) -> None: ...

    def taken_over(self, take_over: TakeOver) -> None:
        """The next worker has its partitions."""

    def caught_up(self, take_over: TakeOver) -> None:
        """What waited for it has its scores, or the time for that is over."""

    def summary(self, report: DemoReport, days: int) -> None: ...


def header(version: str) -> str:
    return (
        f"leadstream {version} demo: embedded broker and store, in memory, on 127.0.0.1. Nothing leaves this machine."
    )


def in_words(quantiles: Quantiles) -> str:
    if quantiles.p50 is None or quantiles.p99 is None:
        return "not measured yet"
    return f"p50 {quantiles.p50} ms, p99 {quantiles.p99} ms"


def killed_line(take_over: TakeOver) -> str:
    return (
        f"killing worker 1 (kill -9) with {take_over.in_flight} events in flight: "
        f"not in a checkpoint yet, {take_over.unscored} of them without a score"
    )


def taken_over_line(take_over: TakeOver) -> str:
    return f"worker 2 took over after {take_over.ready_seconds or 0:.1f} s"


def caught_up_line(take_over: TakeOver) -> str:
    if take_over.caught_up_seconds is None:
        return "worker 2 has not caught up: some events have no score"
    return f"worker 2 had caught up {take_over.caught_up_seconds:.1f} s after the kill: every event has its score"


def happened(transition: StageTransition) -> str:
    """`6 March 07:13`, simulated time."""
    when = datetime.fromtimestamp(transition["at"] / 1000, UTC)
    return f"{when.day:>2} {when:%b %H:%M}"
