"""What a checkpoint each second, and the idempotent producer, cost a worker with a backlog on Apache Kafka.

The same prefilled log, the same worker; in turn, three times over. Without checkpoints there is one, at the end, within
the clock: outputs are gathered until then.
"""

import asyncio
from collections import defaultdict
from statistics import median
from typing import Any

import streams.parts
from streams.engine.settings import EngineSettings
from streams.settings.config import Settings
from tests.bench import catch_up
from tests.bench.catch_up import Cost
from tests.bench.setup import PARTITIONS, append, child, kinds, make_topics, running_broker, settings_for, show
from tests.bench.traffic import records

EVENTS, LEADS, DAYS, ROUNDS = 200_000, 10_000, 30.0, 3
NEVER_SECONDS = 3600.0
CASES: dict[str, dict[str, Any]] = {
    "a checkpoint each second, idempotent": {},
    "a checkpoint each second, not idempotent": {"idempotence": False},
    "one checkpoint, idempotent": {"checkpoint_interval_seconds": NEVER_SECONDS},
    "one checkpoint, not idempotent": {"checkpoint_interval_seconds": NEVER_SECONDS, "idempotence": False},
}


async def run() -> None:
    if kinds()[0] != "apache":
        return
    log = records(EVENTS, LEADS, DAYS)
    costs: defaultdict[str, list[Cost]] = defaultdict(list)
    async with running_broker("apache") as servers:
        for number in range(ROUNDS):
            for name, changes in CASES.items():
                settings = settings_for(servers, f"r{number}c{len(costs[name])}{len(name)}.", "apache", played=True)
                topics = await make_topics(servers, settings.kafka.topic_prefix, played=True)
                await append(servers, topics.events, log)
                async with child(_work, settings, changes, EVENTS + 2 * PARTITIONS) as worker:
                    costs[name].append(await worker.answer())
    best = max(_rate(each) for each in costs.values())
    show(
        f"Checkpoints, Apache Kafka: {EVENTS:,} events of {LEADS:,} leads, median of {ROUNDS}",
        {
            name: f"{_rate(each):8,.0f} events/s, {_rate(each) / best:4.0%} of the best, "
            f"{median(cost.cpu_us_per_event for cost in each):5.1f} us of CPU per event"
            for name, each in costs.items()
        },
    )


def _rate(costs: list[Cost]) -> float:
    return median(cost.events_per_second for cost in costs)


def _work(settings: Settings, changes: dict[str, Any], events: int, report: Any) -> None:
    # A process of its own, so nobody else meets the changed settings.
    streams.parts.EngineSettings = lambda **given: EngineSettings(**{**given, **changes})  # type: ignore[assignment,attr-defined]  # stands in for the class
    catch_up.work(settings, events, report)


if __name__ == "__main__":
    asyncio.run(run())
