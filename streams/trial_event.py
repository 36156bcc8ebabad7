"""One event sent on its whole way: to the collector by HTTP, and back from the topics with what it scored."""

import asyncio
import base64
import json
from collections.abc import Collection, Coroutine, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, cast

import aiohttp
from aiokafka import ConsumerRecord, TopicPartition

from processors.active_model import ActiveModel
from processors.model_log import active_of
from processors.moves import transition_id
from schemas.codec import UndecodableError, decode
from schemas.records import DeadLetter, LeadSnapshot, ModelActivated, StageTransition
from streams.explain import unknown_event
from streams.kafka.brokers import Brokers
from streams.kafka.log_reader import follow, last_record
from streams.kafka.topics import Topics
from streams.model_records import repeated_model
from streams.priced_leads import PricedLead, priced
from streams.unreachable import why_unreachable

DEADLINE_SECONDS = 15.0
_HTTP_SECONDS = 10.0
_MAX_MOVES = 8  # of one lead by one record: time may let it fall, then the act lets it rise


class CollectorAwayError(ConnectionError):
    """The collector cannot be reached, or says 503. The message says which."""


class EventRefusedError(ValueError):
    """The collector, or the worker, could not use the event. The message says why."""


class LateEventError(ValueError):
    """The collector took the event, and flagged it as too old to be scored."""


class NotScoredError(TimeoutError):
    """The collector took the event, but no score came of it. The message says how far it went."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the collector is, and the write key to show it."""

    url: str
    write_key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Scored:
    """What became of the event.

    Attributes:
        key, partition, offset: where its record stands on the events topic.
        seconds: from the request until the score could be seen on the topic.
        before: the lead as it stood, priced for the same instant; None: it was not known.
        points: what changed, by rule or cap id.
        hint: why it fitted no rule, where its name says so; else empty.
        transition: the stage move it caused, if it did.
    """

    event_id: str
    key: str
    partition: int
    offset: int
    seconds: float
    before: PricedLead | None
    after: PricedLead
    points: Mapping[str, float]
    hint: str
    transition: StageTransition | None


async def send_event(
    brokers: Brokers, topics: Topics, partitions: int, destination: Destination, event: Mapping[str, Any]
) -> Scored:
    """Post the event, which has an `event_id` of its own, and wait until the lead's snapshot shows it.

    Raises:
        CollectorAwayError, EventRefusedError, LateEventError, NotScoredError.
        LogStalledError, aiokafka.errors.KafkaError: the broker is away.
    """
    watched = [
        TopicPartition(topic, number)
        for topic in (topics.events, topics.scores, topics.transitions, topics.dead_letters)
        for number in range(partitions)
    ]
    watch, ready = _Watch(topics, str(event["event_id"])), asyncio.Event()
    watching = asyncio.create_task(_watch(brokers, watched, watch, ready))
    try:
        await _first(ready.wait(), watching)
        started = asyncio.get_running_loop().time()
        flags = await _post(destination, event)
        if "bot" in flags:
            raise EventRefusedError("it looks like a bot's (flag `bot`), and bots never score")
        if "late" in flags:
            raise LateEventError
        async with asyncio.timeout(DEADLINE_SECONDS):
            await watching
    except TimeoutError as error:
        raise NotScoredError(watch.how_far()) from error
    finally:
        watching.cancel()
        await asyncio.wait({watching})
    seconds = asyncio.get_running_loop().time() - started
    return await _result(brokers, topics, watch, seconds)


async def _watch(
    brokers: Brokers, partitions: Collection[TopicPartition], watch: "_Watch", ready: asyncio.Event
) -> None:
    async with aclosing(follow(brokers, partitions, ready=ready)) as records:
        async for record in records:
            if watch.take(record):
                return


async def _first(awaited: Coroutine[Any, Any, Any], watching: "asyncio.Task[None]") -> None:
    """Wait for it, or for the end of `watching`, which then has failed."""
    waiting = asyncio.create_task(awaited)
    await asyncio.wait({waiting, watching}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if watching.done():
        watching.result()


class _Watch:
    """Follows one event through the topics, in whatever order their records arrive."""

    def __init__(self, topics: Topics, event_id: str) -> None:
        self._topics = topics
        self._event_id = event_id
        self._snapshots: dict[bytes, LeadSnapshot] = {}
        self._transitions: dict[str, StageTransition] = {}
        self.record: ConsumerRecord | None = None

    def take(self, record: ConsumerRecord) -> bool:
        """True when all is known."""
        try:
            kind, value = decode(record.value or b"")
        except UndecodableError:
            return False
        if kind == "TrackedEvent" and value["event_id"] == self._event_id:
            self.record = self.record or record
        elif kind == "LeadSnapshot":
            self._snapshots[record.key] = cast("LeadSnapshot", value)
        elif kind == "StageTransition":
            self._transitions[value["id"]] = cast("StageTransition", value)
        elif kind == "DeadLetter":
            self._refuse(cast("DeadLetter", value))
        return self.record is not None and self._complete()

    def _refuse(self, letter: DeadLetter) -> None:
        ours = self.record is not None and (letter["topic"], letter["partition"], letter["offset"]) == (
            self.record.topic, self.record.partition, self.record.offset,
        )  # fmt: skip
        if ours:
            raise EventRefusedError(f"the worker could not use it: {letter['reason']}: {letter['detail']}")

    def _complete(self) -> bool:
        snapshot = self.snapshot
        # A transition is told on another topic, and may be seen after the snapshot that names it.
        return snapshot is not None and (snapshot["offset"] > self.offset or self._told_of(snapshot))

    def _told_of(self, snapshot: LeadSnapshot) -> bool:
        version = (snapshot["epoch"], snapshot["offset"])
        key = b"" if self.record is None else self.record.key
        moved = any(snapshot["prev"] == transition_id(key, version, index) for index in range(_MAX_MOVES))
        return not moved or self.transition is not None

    @property
    def offset(self) -> int:
        return -1 if self.record is None else int(self.record.offset)

    @property
    def snapshot(self) -> LeadSnapshot | None:
        """The lead's, with the event folded."""
        found = None if self.record is None else self._snapshots.get(self.record.key)
        return found if found is not None and found["offset"] >= self.offset else None

    @property
    def transition(self) -> StageTransition | None:
        """The lead's last move, if the event caused it."""
        found = None if self.snapshot is None else self._transitions.get(self.snapshot["prev"])
        return found if found is not None and found["offset"] == self.offset else None

    def how_far(self) -> str:
        if self.record is None:
            return "the collector took it, but it is not in this broker's log: do both use the same broker?"
        place = f"{self.record.topic}/{self.record.partition}/{self.record.offset}"
        return (
            f"it stands in the log at {place}, but no score came of it within {DEADLINE_SECONDS:g} s: no worker runs, or "
            "it was left out as a repeat of an event id"
        )


async def _post(destination: Destination, event: Mapping[str, Any]) -> list[str]:
    """Post it; the flags it got."""
    key = base64.b64encode(f"{destination.write_key}:".encode()).decode()
    headers = {"Authorization": f"Basic {key}"} if destination.write_key else {}
    timeout = aiohttp.ClientTimeout(total=_HTTP_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
            session.post(f"{destination.url}/v1/events", data=json.dumps(event).encode()) as response,
        ):
            status, text = response.status, await response.text()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise CollectorAwayError(f"does not answer ({why_unreachable(error)})") from error
    if status == 503:
        raise CollectorAwayError("says 503: it has no broker")
    try:
        answer = json.loads(text)
        item = (answer.get("items") or [{}])[0]
    except (ValueError, AttributeError, LookupError) as error:
        raise CollectorAwayError(f"answers {status} with what is no answer of a collector") from error
    if status != 200 or item.get("status") != "accepted":
        reason = item.get("reason") or answer.get("reason") or status
        raise EventRefusedError(f"{reason}: {item.get('detail') or answer.get('error')}")
    flags: list[str] = item.get("flags", [])
    return flags


async def _result(brokers: Brokers, topics: Topics, watch: _Watch, seconds: float) -> Scored:
    record, snapshot = watch.record, watch.snapshot
    assert record is not None
    assert snapshot is not None
    active = await _active(brokers, topics)
    earlier = await _snapshot_before(brokers, TopicPartition(topics.scores, record.partition), record)
    after = priced(snapshot, active, snapshot["at"])
    before = None if earlier is None else priced(earlier, active, snapshot["at"])
    event, points = decode(record.value)[1], _gained(before, after)
    return Scored(
        event_id=event["event_id"],
        key=snapshot["lead_key"],
        partition=record.partition,
        offset=record.offset,
        seconds=seconds,
        before=before,
        after=after,
        points=points,
        hint="" if points else unknown_event(active.model, event["type"]),
        transition=watch.transition,
    )


async def _active(brokers: Brokers, topics: Topics) -> ActiveModel:
    found: tuple[ModelActivated, int] | None = await repeated_model(brokers, topics)
    if found is None:
        raise NotScoredError("the scores topic names no model yet: is partition 0 folded? See: leadstream model active")
    return active_of(found[0])


async def _snapshot_before(brokers: Brokers, tp: TopicPartition, event: ConsumerRecord) -> LeadSnapshot | None:
    """The lead's last snapshot without the event; None: there is none, or the lead was forgotten since."""

    def earlier(record: ConsumerRecord) -> bool:
        if record.key != event.key:
            return False
        return record.value is None or bool(decode(record.value)[1]["offset"] < event.offset)

    found = await last_record(brokers, tp, earlier)
    return None if found is None or found.value is None else cast("LeadSnapshot", decode(found.value)[1])


def _gained(before: PricedLead | None, after: PricedLead) -> dict[str, float]:
    """Points by rule or cap that the event brought, or took."""
    old = {} if before is None else {(part["kind"], part["id"]): part["points"] for part in before.price.receipt()}
    new = {(part["kind"], part["id"]): part["points"] for part in after.price.receipt()}
    gained = {key[1]: new.get(key, 0.0) - old.get(key, 0.0) for key in {**old, **new}}
    return {name: round(points, 6) for name, points in gained.items() if abs(points) >= 0.005}
