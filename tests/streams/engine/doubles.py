"""Stand-ins for what the engine is handed."""

from collections import Counter
from dataclasses import dataclass, field

from schemas.metrics import MetricName


@dataclass
class CountingMetrics:
    counts: Counter[str] = field(default_factory=Counter)
    values: dict[str, float] = field(default_factory=dict)

    def count(self, name: MetricName, amount: float = 1, **labels: str) -> None:
        self.counts[name] += int(amount)

    def observe(self, name: MetricName, value: float, **labels: str) -> None:
        self.values[name] = value

    def set(self, name: MetricName, value: float, **labels: str) -> None:
        self.values[name] = value


@dataclass
class Record:
    offset: int
    key: bytes | None = b"1a"
    value: bytes | None = b"{}"
    timestamp: int = 0
    timestamp_type: int = 0
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass
class FixedClock:
    at_ms: int = 0

    def now_ms(self) -> int:
        return self.at_ms
