"""Clocks that disagree: the broker's stamps decide when an act counts, so it should be right."""

from collections.abc import Callable
from contextlib import aclosing
from typing import cast

from aiokafka import ConsumerRecord, TopicPartition

from schemas.codec import UndecodableError, decode
from schemas.records import TrackedEvent
from streams.finding import Finding
from streams.kafka.brokers import Brokers
from streams.kafka.log_reader import log_end, log_start, read_log
from streams.kafka.provision import admin_client, partition_counts
from streams.kafka.topics import Topics

FAR_MS = 5_000
LATE_MS = 60_000
_NEWEST = 20  # of each partition
_FIX = "let NTP set the clocks of brokers and collectors (chronyc tracking)"


async def check_clocks(brokers: Brokers, topics: Topics, now_ms: Callable[[], int]) -> list[Finding]:
    """Compares the broker's stamp of the newest events with this machine's clock, and with the time at which the collector
    says that it took them. Nothing to say where there are no events.

    Raises:
        KafkaError, OSError: the broker is away.
    """
    async with admin_client(brokers) as admin:
        partitions = (await partition_counts(admin))[topics.events]
    events = [TopicPartition(topics.events, number) for number in range(partitions)]
    begins, ends = await log_start(brokers, events), await log_end(brokers, events)
    start = {tp: max(begins[tp], ends[tp] - _NEWEST) for tp in events}
    async with aclosing(read_log(brokers, events, start=start, stop=ends)) as records:
        stamps = [(record.timestamp, event["received_at"]) async for record in records if (event := _event(record))]
    return judge_clocks(stamps, now_ms())


def judge_clocks(stamps: list[tuple[int, int]], now_ms: int) -> list[Finding]:
    """`stamps`: of each event the broker's time and the collector's."""
    if not stamps:
        return []
    ahead_ms = max(stamp for stamp, _ in stamps) - now_ms
    if ahead_ms > FAR_MS:
        return [Finding("warn", f"clocks: the broker's is {_seconds(ahead_ms)} ahead of this machine's", _FIX)]
    soonest_ms, latest_ms = min(stamp - taken for stamp, taken in stamps), max(stamp - taken for stamp, taken in stamps)
    if soonest_ms < -FAR_MS:
        return [Finding("warn", f"clocks: the broker's is {_seconds(-soonest_ms)} behind the collector's", _FIX)]
    if soonest_ms > LATE_MS:
        what = (
            f"clocks: the newest {len(stamps)} events were stamped {_seconds(soonest_ms)} or more after the collector took "
            "them: they were spooled, or the broker's clock is ahead"
        )
        return [Finding("warn", what, _FIX)]
    what = f"clocks: the newest {len(stamps)} events were stamped {soonest_ms} to {latest_ms} ms after the collector took them"
    return [Finding("ok", what)]


def _seconds(ms: int) -> str:
    return f"{ms / 1000:,.0f} s"


def _event(record: ConsumerRecord) -> TrackedEvent | None:
    try:
        kind, value = decode(record.value or b"")
    except UndecodableError:
        return None
    return cast("TrackedEvent", value) if kind == "TrackedEvent" else None
