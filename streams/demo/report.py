"""What the run has shown, as data: every number was measured in it, and those that must hold are checked."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from streams.demo.latency import Quantiles
from streams.verification.report import VerifyReport


@dataclass(frozen=True, slots=True)
class TakeOver:
    """Seconds count from the kill.

    Attributes:
        in_flight: events behind the last checkpoint when the worker was killed; `unscored` of them had no score yet.
        ready_seconds: until the next worker had its partitions; None: it never had.
        caught_up_seconds: until every event of before had a score; None: not all got one.
    """

    in_flight: int
    unscored: int
    ready_seconds: float | None = None
    caught_up_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """Of events, as seen from outside.

    Attributes:
        acknowledged: event id -> how often the collector said that it has it.
        logged: event id -> how often it stands in the log.
        refused: events that the collector did not take for good.
    """

    acknowledged: Counter[str]
    logged: Counter[str]
    refused: int = 0

    @property
    def missing(self) -> int:
        """Acknowledged, but not in the log."""
        return (self.acknowledged - self.logged).total()

    @property
    def unasked(self) -> int:
        """In the log more often than acknowledged: a request that was sent again although the first had arrived."""
        return (self.logged - self.acknowledged).total()


@dataclass(frozen=True, slots=True)
class DemoReport:
    """Latencies are in ms, of events that a running worker took; `delayed` of those that waited for the next one.

    Attributes:
        accepted: events that the collector acknowledged.
        scored: those of them that the state accounts for: they went through the scoring, `left_out` among them.
        transitions, mqls, exits, alerts: until the end of the play. An exit is a fall without an act; it is as announced if
            it came at the second that the last score before it had told.
        left_out: reason -> events that the scoring knows and does not count: bots, repeats, what came too late.
    """

    accepted: int
    scored: int
    left_out: Mapping[str, int]
    lost: int
    counted_twice: int
    refused: int
    leads: int
    transitions: int
    mqls: int
    exits: int
    exits_as_announced: int
    alerts: int
    request_to_score: Quantiles
    request_to_alert: Quantiles
    delayed: Quantiles
    first_alert_seconds: float | None
    take_over: TakeOver | None
    verify: VerifyReport

    def problems(self) -> list[str]:
        """Everything that must hold and does not; empty: the run is good."""
        checks = {
            f"{self.accepted:,} events were accepted and {self.scored:,} accounted for": self.accepted == self.scored,
            f"{self.lost:,} events lost": self.lost == 0,
            f"{self.counted_twice:,} events counted twice": self.counted_twice == 0,
            f"{self.refused:,} events refused by the collector": self.refused == 0,
            f"state differs from the log in {len(self.verify.differences)} places": self.verify.equal,
            "the killed worker was not replaced": self.take_over is None
            or self.take_over.caught_up_seconds is not None,
        }
        return [text for text, holds in checks.items() if not holds]

    def as_json(self) -> str:
        take_over = self.take_over
        return json.dumps(
            {
                "accepted": self.accepted,
                "scored": self.scored,
                "left_out": dict(self.left_out),
                "lost": self.lost,
                "counted_twice": self.counted_twice,
                "leads": self.leads,
                "transitions": self.transitions,
                "mqls": self.mqls,
                "exits": self.exits,
                "exits_as_announced": self.exits_as_announced,
                "alerts": self.alerts,
                "latency_ms": {
                    "request_to_score": _quantiles(self.request_to_score),
                    "request_to_alert": _quantiles(self.request_to_alert),
                    "delayed_by_the_kill": _quantiles(self.delayed),
                },
                "first_alert_seconds": self.first_alert_seconds,
                "take_over": take_over
                and {
                    "in_flight": take_over.in_flight,
                    "unscored": take_over.unscored,
                    "ready_seconds": take_over.ready_seconds,
                    "caught_up_seconds": take_over.caught_up_seconds,
                },
                "verify": {
                    "equal": self.verify.equal,
                    "leads": self.verify.leads,
                    "transitions": self.verify.transitions,
                    "differences": [str(difference) for difference in self.verify.differences[:20]],
                },
                "problems": self.problems(),
            }
        )


def _quantiles(quantiles: Quantiles) -> dict[str, Any]:
    return {"p50": quantiles.p50, "p99": quantiles.p99, "count": quantiles.count}


def scored_events(counts: Counts, verify: VerifyReport) -> int:
    """Accepted events that stand in the state as the log says. What was written once more for a retry is none more."""
    left_out = sum(verify.dropped.values())
    return verify.scored + left_out - verify.lost - counts.unasked
