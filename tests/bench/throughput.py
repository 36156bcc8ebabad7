"""Events per second of one worker that finds a backlog, beside a stock Faust agent with the same fold.

Both read the same prefilled log (Avro events of 10,000 leads over 30 days, 4 partitions, the reference model) on the
same broker, one after the other, with changelog and outputs on. Start and first fetch are outside the clock, the last
checkpoint is inside. The worker sends a lead's score once per checkpoint while it has a backlog; the stock agent works
event by event, so it sends one per event, or in the last line none.
"""

import asyncio
from tempfile import TemporaryDirectory

from streams.settings.config import Settings
from tests.bench import catch_up, stock_faust
from tests.bench.catch_up import Cost
from tests.bench.setup import PARTITIONS, append, child, kinds, make_topics, running_broker, settings_for, show
from tests.bench.traffic import BenchRecord, records

EVENTS, LEADS, DAYS = 60_000, 10_000, 30.0


async def run() -> None:
    log = records(EVENTS, LEADS, DAYS)
    for kind in kinds():
        async with running_broker(kind) as servers:
            await _compare(kind, servers, log)


async def _compare(kind: str, servers: str, log: list[BenchRecord]) -> None:
    settings = settings_for(servers, "bench.", kind, played=True)
    topics = await make_topics(servers, "bench.", played=True)
    await append(servers, topics.events, log)
    events = EVENTS + 2 * PARTITIONS  # each partition begins with its epoch and its model
    stock = await _stock(settings, send_scores=True)
    async with child(catch_up.work, settings, events) as worker:
        ours: Cost = await worker.answer()
    split = await _split(servers, kind, log)
    stock_again = settings_for(servers, "quiet.", kind, played=True)
    await append(servers, (await make_topics(servers, "quiet.", played=True)).events, log)
    quiet = await _stock(stock_again, send_scores=False)
    ratio, cpu = ours.events_per_second / stock.events_per_second, stock.cpu_us_per_event / ours.cpu_us_per_event
    quiet_ratio = ours.events_per_second / quiet.events_per_second
    show(
        f"Throughput, {kind} broker: {EVENTS:,} events of {LEADS:,} leads",
        {
            "worker": _shown(ours),
            **{f"  {part}": f"{us:8.1f} us of CPU per event" for part, us in split.items()},
            "stock agent": _shown(stock),
            "worker / stock agent": f"{ratio:8.1f} times the events per second, {cpu:.1f} times fewer CPU per event",
            "stock agent, no scores": _shown(quiet),
            "worker / that": f"{quiet_ratio:8.1f} times the events per second",
        },
    )


async def _stock(settings: Settings, *, send_scores: bool) -> Cost:
    with TemporaryDirectory(prefix="leadstream-stock-") as datadir:
        async with child(stock_faust.work, settings, EVENTS, datadir, send_scores) as agent:
            cost: Cost = await agent.answer()
            return cost


async def _split(servers: str, kind: str, log: list[BenchRecord]) -> dict[str, float]:
    """CPU us per event of each part, from a run of its own: transport is what the timed parts leave of the process."""
    settings = settings_for(servers, "split.", kind, played=True)
    topics = await make_topics(servers, "split.", played=True)
    await append(servers, topics.events, log)
    async with child(catch_up.work_split, settings, len(log) + 2 * PARTITIONS) as worker:
        cost, parts = await worker.answer()
    # Decoding and rows are done twice in this run: once for their timers.
    rest = cost.cpu_seconds - sum(parts.values()) - parts["decode"] - parts["rows"]
    return {part: seconds / cost.events * 1e6 for part, seconds in {"transport": rest, **parts}.items()}


def _shown(cost: Cost) -> str:
    return f"{cost.events_per_second:8,.0f} events/s, {cost.cpu_us_per_event:6.1f} us of CPU per event"


if __name__ == "__main__":
    asyncio.run(run())
