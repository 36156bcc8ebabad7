"""A collector on a free loopback port, as the tests use it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from schemas.records import TrackedEvent
from sources.base import EventProducer
from sources.config import CollectorSettings
from sources.http.app import Collector
from sources.http.server import CollectorServer
from tests.sources.fakes import CountingMetrics, MemoryProducer

NOW = 1_772_442_000_000  # 2026-03-02T09:00:00Z
SETTINGS = CollectorSettings(secret=b"secret", origins=("https://www.example.com",))


@dataclass
class Running:
    url: str
    collector: Collector
    server: CollectorServer
    producer: MemoryProducer
    metrics: CountingMetrics
    seen: list[tuple[TrackedEvent, bytes]] = field(default_factory=list)


@asynccontextmanager
async def running_collector(
    settings: CollectorSettings = SETTINGS, *, producer: EventProducer | None = None, **more: Any
) -> AsyncIterator[Running]:
    """`settings`, a fake producer unless one is given, and a clock that stands at NOW unless `now_ms` is given."""
    memory, metrics = MemoryProducer(), CountingMetrics()
    seen: list[tuple[TrackedEvent, bytes]] = []
    collector = Collector(
        settings,
        producer or memory,
        metrics=metrics,
        metrics_page=lambda: b"leadstream_up 1\n",
        on_event=lambda event, key: seen.append((event, key)),
        **{"now_ms": lambda: NOW, **more},
    )
    server = CollectorServer(collector, port=0)
    await server.start()
    try:
        yield Running(f"http://127.0.0.1:{server.port}", collector, server, memory, metrics, seen)
    finally:
        await server.stop()


def with_limits(**limits: Any) -> CollectorSettings:
    return replace(SETTINGS, limits=replace(SETTINGS.limits, **limits))
