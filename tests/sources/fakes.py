"""Stand-ins for what a source is handed. The producer passes the contract in `test_producers.py`."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from schemas.codec import decode
from schemas.metrics import MetricName
from sources.base import BrokerUnavailableError, OutgoingRecord


class MemoryProducer:
    """A log in memory; `away` makes it refuse."""

    def __init__(self) -> None:
        self.records: list[OutgoingRecord] = []
        self.away = False

    async def send(self, records: Sequence[OutgoingRecord]) -> None:
        if self.away:
            raise BrokerUnavailableError("told to be away")
        self.records.extend(records)

    def ready(self) -> bool:
        return not self.away

    def decoded(self, kind: str) -> list[dict[str, Any]]:
        decoded = [decode(record.value) for record in self.records]
        return [record for found, record in decoded if found == kind]

    @property
    def events(self) -> list[dict[str, Any]]:
        return self.decoded("TrackedEvent")

    @property
    def dead_letters(self) -> list[dict[str, Any]]:
        return self.decoded("DeadLetter")


class CountingMetrics:
    def __init__(self) -> None:
        self.counts: Counter[tuple[str, ...]] = Counter()
        self.observed: list[tuple[str, float]] = []

    def count(self, name: MetricName, amount: float = 1, **labels: str) -> None:
        self.counts[name, *(f"{label}={value}" for label, value in sorted(labels.items()))] += int(amount)

    def observe(self, name: MetricName, value: float, **labels: str) -> None:
        self.observed.append((name, value))

    def set(self, name: MetricName, value: float, **labels: str) -> None:
        raise AssertionError("sources set no gauge")
