"""The sink `metrics`: transitions -> counters. They live in the process; after a crash some may count twice."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import cast

from schemas.metrics import MetricName, Metrics
from schemas.records import StageTransition
from sinks.base import Delivery, Input

FLAP_MS = 86_400_000
MAX_STAGES = 64  # stages come from model files; what is beyond counts as "other"
MAX_LEADS = 10_000  # leads whose last move up is remembered, to see it undone
CAUSES = frozenset({"act", "decay", "inactivity", "feedback", "model", "merge"})
DIRECTIONS = frozenset({"up", "down"})


class BusinessMetrics:
    """Counts each record of a partition once, however often it is delivered to this process."""

    inputs: frozenset[Input] = frozenset({"transitions"})

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._counted: dict[tuple[str, int], int] = {}  # the last offset per partition
        self._stages: set[str] = set()
        self._ups: OrderedDict[str, tuple[str, str, int]] = OrderedDict()  # lead -> from, to, at

    async def open(self) -> None:
        """Nothing to do."""

    async def deliver(self, batch: Sequence[Delivery]) -> None:
        for each in batch:
            place = (each.topic, each.partition)
            if each.kind == "StageTransition" and each.offset > self._counted.get(place, -1):
                self._counted[place] = each.offset
                self._count(cast("StageTransition", each.record))

    def _count(self, transition: StageTransition) -> None:
        from_stage, to_stage = self._stage(transition["from_stage"]), self._stage(transition["to_stage"])
        direction = transition["direction"] if transition["direction"] in DIRECTIONS else "other"
        cause = transition["cause"] if transition["cause"] in CAUSES else "other"
        name: MetricName = "leadstream_leads_transitions_total"
        self._metrics.count(name, from_stage=from_stage, to_stage=to_stage, direction=direction, cause=cause)
        if transition["alert"] is not None:
            self._metrics.count("leadstream_leads_alerts_total", to_stage=to_stage)
        if self._is_flap(transition):
            self._metrics.count("leadstream_leads_flaps_total", from_stage=from_stage, to_stage=to_stage)

    def _is_flap(self, transition: StageTransition) -> bool:
        key, at = transition["lead_key"], transition["at"]
        up = self._ups.pop(key, None)
        if transition["direction"] == "up":
            self._ups[key] = (transition["from_stage"], transition["to_stage"], at)
            if len(self._ups) > MAX_LEADS:
                self._ups.popitem(last=False)
            return False
        return up is not None and transition["from_stage"] == up[1] and at - up[2] <= FLAP_MS

    def _stage(self, name: str) -> str:
        if name not in self._stages and len(self._stages) >= MAX_STAGES:
            return "other"
        self._stages.add(name)
        return name

    async def healthy(self) -> str | None:
        return None

    async def close(self) -> None:
        """Nothing to do."""
