"""Measures from outside: reads the topics as any consumer may, and knows nothing of the worker but what stands there."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, cast

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from processors.active_model import ActiveModel
from processors.next_exit import SECOND_MS, first_exit
from processors.price import row_of_snapshot
from schemas.codec import decode
from schemas.records import LeadSnapshot, StageTransition, TrackedEvent
from sources.http.records import SENT_AT
from sources.times import LATE_MS
from streams.clock import DAY_MS
from streams.demo.latency import Outage, Samples, ScoreWatch
from streams.kafka.brokers import Brokers
from streams.kafka.topics import Topics

# The probe's own wait for records is part of what it measures.
FETCH_WAIT_MS: Final = 15


@dataclass(frozen=True, slots=True)
class Move:
    """A transition. `announced_ms`: for a fall without an act, when the last score before it said that it would come."""

    to_stage: str
    at: int
    announced_ms: int | None

    @property
    def as_announced(self) -> bool:
        return self.announced_ms is not None and abs(self.at - self.announced_ms) <= SECOND_MS


class Probe:
    """What stands on the topics of events, scores and transitions so far.

    Attributes:
        events: event id -> how often it stands in the log.
        sent_at: event id -> when its client first sent it, real ms UTC.
        scores: latencies from request to visible score.
        moves: id of a transition -> what it was; repeats after a crash have the same id.
    """

    def __init__(
        self,
        brokers: Brokers,
        topics: Topics,
        partitions: int,
        active: ActiveModel,
        *,
        now_ms: Callable[[], int],
        outage: Outage,
    ) -> None:
        self._active = active
        self._exits = {stage.id: stage for stage in active.model.stages if stage.exit}
        self._brokers = brokers
        self._topics = topics
        self._partitions = partitions
        self._now_ms = now_ms
        self.scores = Samples(outage)
        self._watches = [ScoreWatch(self.scores) for _ in range(partitions)]
        self.events: Counter[str] = Counter()
        self.sent_at: dict[str, int] = {}
        self.moves: dict[str, Move] = {}
        self._leaving: dict[
            bytes, LeadSnapshot
        ] = {}  # the newest score of each lead in a stage that it can fall out of
        self._leads: dict[bytes, tuple[tuple[int, int], str]] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._counted: set[tuple[bytes, str]] = set()

    @property
    def waiting(self) -> int:
        """Events in the log whose score is not on the scores topic yet."""
        return sum(watch.waiting for watch in self._watches)

    def waiting_before(self, sent_at: int) -> int:
        return sum(since <= sent_at for watch in self._watches for since in watch.waiting_since())

    def leads_by_stage(self) -> Counter[str]:
        return Counter(stage for _, stage in self._leads.values())

    async def run(self) -> None:
        """Read for ever.

        Raises:
            KafkaError: the broker is away.
        """
        topics = (self._topics.events, self._topics.scores, self._topics.transitions)
        places = [TopicPartition(topic, number) for topic in topics for number in range(self._partitions)]
        async with _consumer(self._brokers) as consumer:
            consumer.assign(places)
            await consumer.seek_to_beginning(*places)
            while True:
                fetched = await consumer.getmany(timeout_ms=1000)
                seen_at = self._now_ms()
                for place, records in fetched.items():
                    self._take(place, records, seen_at)

    @property
    def ends(self) -> dict[TopicPartition, int]:
        """How far the events were read here: the offset behind the last one of each partition."""
        return dict(self._ends)

    async def uncommitted(self, ends: Mapping[TopicPartition, int]) -> int:
        """Records up to `ends` that are behind the last checkpoint: a new worker has to fold them again."""
        async with _consumer(self._brokers, self._topics.worker_group) as consumer:
            consumer.assign(list(ends))
            return sum([max(0, end - (await consumer.committed(tp) or 0)) for tp, end in ends.items()])

    def _take(self, place: TopicPartition, records: list[ConsumerRecord], seen_at: int) -> None:
        watch = self._watches[place.partition]
        for record in records:
            if place.topic == self._topics.events:
                self._take_event(record, watch)
            elif place.topic == self._topics.scores:
                self._take_score(record, watch, seen_at)
            else:
                self._take_transition(record)
        if place.topic == self._topics.events and records:
            self._ends[place] = records[-1].offset + 1
            watch.read_to(records[-1].offset)

    def _take_event(self, record: ConsumerRecord, watch: ScoreWatch) -> None:
        kind, value = decode(record.value)
        if kind != "TrackedEvent":
            return  # an epoch, a model or a tick
        event = cast("TrackedEvent", value)
        event_id, sent_at = event["event_id"], _sent_at(record)
        self.events[event_id] += 1
        if sent_at is None:
            return  # somebody else's event
        self.sent_at.setdefault(event_id, sent_at)
        if not self._is_left_out(event, record):
            watch.event(record.key, record.offset, sent_at)

    def _is_left_out(self, event: TrackedEvent, record: ConsumerRecord) -> bool:
        """Bots, repeats and what is too late change no score, so that there is nothing to wait for (docs/fold.md 3)."""
        if event["flags"]["bot"] or (event["occurred_at"] or 0) < record.timestamp - LATE_MS:
            return True
        name = (record.key, event["event_id"])
        repeated = name in self._counted
        self._counted.add(name)
        return repeated

    def _take_score(self, record: ConsumerRecord, watch: ScoreWatch, seen_at: int) -> None:
        if record.value is None:
            self._leads.pop(record.key, None)
            return
        kind, value = decode(record.value)
        if kind != "LeadSnapshot":
            return
        snapshot = cast("LeadSnapshot", value)
        version = (snapshot["epoch"], snapshot["offset"])
        if version >= self._leads.get(record.key, ((0, -1), ""))[0]:
            self._leads[record.key] = (version, snapshot["stage"])
            if snapshot["stage"] in self._exits:
                self._leaving[record.key] = snapshot
            watch.snapshot(record.key, snapshot["offset"], seen_at)

    def _take_transition(self, record: ConsumerRecord) -> None:
        transition = cast("StageTransition", decode(record.value)[1])
        if transition["id"] in self.moves:
            return
        announced_ms = None
        if transition["cause"] in ("decay", "inactivity") and (last := self._leaving.get(record.key)) is not None:
            row, stage = row_of_snapshot(last), self._exits[transition["from_stage"]]
            announced_ms = first_exit(row, stage, self._active, row.now, transition["at"] + 400 * DAY_MS)
        self.moves[transition["id"]] = Move(transition["to_stage"], transition["at"], announced_ms)


def _sent_at(record: ConsumerRecord) -> int | None:
    said = dict(record.headers).get(SENT_AT)
    return None if said is None else int(said)


@asynccontextmanager
async def _consumer(brokers: Brokers, group: str | None = None) -> AsyncIterator[Any]:
    """With `group` it may ask what that group has committed; it joins none."""
    consumer = AIOKafkaConsumer(
        **brokers.client_arguments(),
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=FETCH_WAIT_MS,
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()
