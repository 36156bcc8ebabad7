"""A sink in memory, and a metrics that remembers: the fakes that other tests read effects from."""

from collections import Counter
from collections.abc import Sequence

from schemas.metrics import MetricName
from sinks.base import Delivery, Input, SinkError


class MemorySink:
    """Keeps the newest record of each topic and key. `troubles` are raised one by one, each at the delivery it counts to."""

    inputs: frozenset[Input] = frozenset({"transitions", "scores"})

    def __init__(self, effects: list[str] | None = None) -> None:
        self.troubles: list[SinkError] = []
        self.effects = effects if effects is not None else []
        self.newest: dict[tuple[str, bytes], Delivery] = {}
        self.closed = False

    async def open(self) -> None:
        self.effects.append("opened")

    async def deliver(self, batch: Sequence[Delivery]) -> None:
        trouble = self.troubles.pop(0) if self.troubles else None
        for each in batch if trouble is None else batch[: trouble.done]:
            self.effects.append(f"delivered {each.offset}")
            known = self.newest.get((each.topic, each.key))
            if known is None or known.offset < each.offset:
                self.newest[each.topic, each.key] = each
        if trouble is not None:
            raise trouble

    async def healthy(self) -> str | None:
        return None

    async def close(self) -> None:
        self.closed = True


class CountedMetrics:
    """Implements `schemas.metrics.Metrics` by remembering."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, ...]] = Counter()
        self.gauges: dict[str, float] = {}
        self.observed: dict[str, list[float]] = {}

    def count(self, name: MetricName, amount: float = 1, **labels: str) -> None:
        self.counts[name, *labels.values()] += int(amount)

    def observe(self, name: MetricName, value: float, **labels: str) -> None:
        self.observed.setdefault(name, []).append(value)

    def set(self, name: MetricName, value: float, **labels: str) -> None:
        self.gauges[name] = value
