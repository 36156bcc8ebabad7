"""The newest events of a log, bounded in time and in number."""

from aiokafka import TopicPartition

from schemas.keys import partition_of
from streams.kafka.topics import Topics
from streams.recent_events import ReadEvents, read_recent_events
from tests.brokers import Broker
from tests.streams.scored_log import DAY_MS, MINUTE_MS, ScoredLog

LEADS = (b"1ada", b"1bob", b"1eve", b"1kim")


async def read(log: ScoredLog, since: int, at_most: int | None = None) -> tuple[ReadEvents, list[tuple[str, int]]]:
    """What was read, and (title, effective time) of every event."""
    seen: list[tuple[str, int]] = []
    read = await read_recent_events(
        log.brokers,
        [TopicPartition(log.topics.events, number) for number in range(log.partitions)],
        since,
        see=lambda event, at: seen.append((event["title"] or "", at)),
        at_most=at_most,
    )
    return read, seen


async def test_every_event_that_can_be_read_is_seen_once_with_its_time(broker: Broker, prefix: str) -> None:
    async with ScoredLog.start(broker, Topics(prefix)) as log:
        times = []
        for lead in LEADS:
            await log.act(lead, title=lead.decode())
            times.append(log.now)
        await log.append(b"1ada", b"{broken")
        await log.tick()
        found, seen = await read(log, since=0)
        assert found == ReadEvents(4, cut=False)
        assert [title for title, _ in sorted(seen)] == sorted(lead.decode() for lead in LEADS)
        assert sorted(at for _, at in seen) == times


async def test_of_many_records_the_newest_are_read_and_that_some_were_not_is_said(broker: Broker, prefix: str) -> None:
    async with ScoredLog.start(broker, Topics(prefix)) as log:
        for number in range(10):
            await log.act(b"1ada", title=f"{number}")
        found, seen = await read(log, 0, at_most=6)
        assert found == ReadEvents(3, cut=True)
        assert [title for title, _ in seen] == ["7", "8", "9"]
        assert (await read(log, 0, at_most=1000))[0] == ReadEvents(10, cut=False)


async def test_what_is_older_is_left_out_and_is_no_cut(broker: Broker, prefix: str) -> None:
    async with ScoredLog.start(broker, Topics(prefix)) as log:
        for number in range(10):
            await log.act(b"1ada", title=f"{number}")
        home = partition_of(b"1ada", log.partitions)
        times = [each.timestamp for each in await log.records(log.topics.events, home) if each.key == b"1ada"]
        newer = [f"{number}" for number, at in enumerate(times) if at >= times[8]]  # a broker may stamp two alike
        found, seen = await read(log, times[8])
        assert found == ReadEvents(len(newer), cut=False)
        assert [title for title, _ in seen] == newer
        assert await read(log, times[-1] + MINUTE_MS) == (ReadEvents(0, cut=False), [])


async def test_where_the_bound_lies_before_the_wanted_time_nothing_is_cut(broker: Broker, prefix: str) -> None:
    async with ScoredLog.start(broker, Topics(prefix)) as log:
        for _ in range(10):
            await log.act(b"1ada")
        found, _ = await read(log, log.now + DAY_MS * 2, at_most=6)
        assert found == ReadEvents(0, cut=False)
