"""Worker and sinks as consumer groups: is anybody there, and how much waits?"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass

from aiokafka import TopicPartition

from streams.finding import Finding
from streams.kafka.brokers import Brokers
from streams.kafka.groups import committed_of, members_of
from streams.kafka.log_reader import log_end, log_start, read_log
from streams.kafka.provision import admin_client, partition_counts
from streams.kafka.topics import Topics
from streams.settings.config import Settings

LATE_SECONDS = 60.0  # a record that waits for longer is a backlog, not the work of the moment
_Offsets = Mapping[TopicPartition, int]


@dataclass(frozen=True, slots=True)
class _Reader:
    """`name`: as its command is called. `expected`: the settings say that there is one."""

    name: str
    group: str
    topics: tuple[str, ...]
    expected: bool = True


async def check_readers(
    brokers: Brokers, topics: Topics, settings: Settings, now_ms: Callable[[], int], *, embedded: bool
) -> list[Finding]:
    """A line for the worker, and one for each sink that the settings ask for or that has run before.

    The embedded broker does not say who is in a group.

    Raises:
        KafkaError, OSError: the broker is away.
    """
    findings = []
    async with admin_client(brokers) as admin:
        partitions = (await partition_counts(admin))[topics.events]
        everywhere = [
            TopicPartition(topic, number)
            for topic in (topics.events, topics.transitions, topics.scores)
            for number in range(partitions)
        ]
        begins, ends = await log_start(brokers, everywhere), await log_end(brokers, everywhere)
        for reader in _readers(topics, settings):
            reads = [tp for tp in everywhere if tp.topic in reader.topics]
            committed = await committed_of(admin, reader.group, reads)
            if not committed and not reader.expected:
                continue
            members = None if embedded else len(await members_of(admin, reader.group))
            findings.append(await _judge(brokers, reader, members, _Place(committed, begins, ends, reads), now_ms))
    return findings


def _readers(topics: Topics, settings: Settings) -> Iterator[_Reader]:
    yield _Reader("worker", topics.worker_group, (topics.events,))
    expected = {
        "redis": True,
        "webhook": bool(settings.webhook.url),
        "alerts": bool(settings.channels),
        "metrics": False,
    }
    for name, is_expected in expected.items():
        reads = (topics.transitions, topics.scores) if name == "redis" else (topics.transitions,)
        yield _Reader(f"sink {name}", topics.sink_group(name), reads, is_expected)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a group stands in the logs that it reads."""

    committed: _Offsets
    begins: _Offsets
    ends: _Offsets
    reads: list[TopicPartition]

    @property
    def waiting(self) -> dict[TopicPartition, int]:
        """Partition -> the offset that comes next, where there is something to read."""
        next_ = {tp: self.committed.get(tp, self.begins[tp]) for tp in self.reads}
        return {tp: offset for tp, offset in next_.items() if offset < self.ends[tp]}

    @property
    def records(self) -> int:
        return sum(self.ends[tp] - offset for tp, offset in self.waiting.items())

    @property
    def deleted_unread(self) -> int:
        return sum(max(0, self.begins[tp] - offset) for tp, offset in self.committed.items())


async def _judge(
    brokers: Brokers, reader: _Reader, members: int | None, place: _Place, now_ms: Callable[[], int]
) -> Finding:
    who = f"{reader.name}: group {reader.group}"
    waits = f"{place.records:,} {'record waits' if place.records == 1 else 'records wait'}"
    command = f"leadstream {reader.name}"
    if place.deleted_unread:
        what = f"{who} stands before the beginning of its log: {place.deleted_unread:,} records were deleted unread"
        return Finding("fail", what, "docs/runbook.md, A worker ends; and keep records for longer (retention.ms)")
    if members == 0:
        return Finding("warn", f"{who} has no member, {waits}", f"start one: {command}")
    if members is None:
        if not place.committed:
            return Finding("warn", f"{who} has never committed, {waits}", f"if none runs: {command}")
        return Finding("ok", f"{who}, {waits}")
    there = f"{members} {'member' if members == 1 else 'members'}"
    late_seconds = await _oldest_seconds(brokers, place.waiting, now_ms())
    if late_seconds > LATE_SECONDS:
        fix = (
            f"more of them, up to {len(place.reads)}"
            if reader.name == "worker"
            else "see what its log and its /readyz say"
        )
        return Finding("warn", f"{who}, {there}, {waits}, the oldest for {late_seconds:,.0f} s", fix)
    return Finding("ok", f"{who}, {there}, {waits}")


async def _oldest_seconds(brokers: Brokers, waiting: _Offsets, now_ms: int) -> float:
    """Age of the oldest record that comes next in its partition; 0: nothing waits."""
    stop = {tp: offset + 1 for tp, offset in waiting.items()}
    async with aclosing(read_log(brokers, list(waiting), start=waiting, stop=stop)) as records:
        return max([(now_ms - record.timestamp) / 1000 async for record in records], default=0.0)
