"""What putting a dead letter back means: records for the events topic, a delivery for one sink, or why neither can be.

Pure: nothing is sent here. Event ids stay what they were, so the fold counts nothing twice, however often it is done.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from processors.units import LATE_MS
from schemas.codec import Kind, UndecodableError, decode
from schemas.keys import is_lead_key
from schemas.letter_context import CUT_MARKS, HEADER
from schemas.records import DeadLetter
from sinks.base import Delivery, Input
from sources.base import OutgoingRecord
from sources.completion import Completion
from sources.config import CollectorSettings
from sources.http.records import records_of
from sources.http.requests import EVENTS_PATH, KEPT_HEADERS, SEGMENT_PATHS, CollectorRequest, Refused, read_request
from sources.outcomes import Accepted, Rejected
from streams.delivery.delivery import decode_record
from streams.kafka.topics import Topics

ABOUT_LEADS: Final[frozenset[Kind]] = frozenset({"TrackedEvent", "Feedback", "ImportedLine"})
# Sinks are made to take a record late and twice (sinks/base.py); for these two there is a better way, or none.
NOT_HANDED: Final = {
    "redis": "leadstream sink redis --from-beginning reads its topics again",
    "metrics": "it counts in its own process, and counters are not made up for; the topics have every transition",
}


class CannotReplayError(Exception):
    """`why` is the same text for all letters of a kind; `detail` is of this one."""

    def __init__(self, why: str, detail: str = "") -> None:
        super().__init__(f"{why}: {detail}" if detail else why)
        self.why = why
        self.detail = detail


class SinkAwayError(CannotReplayError):
    """The destination takes nothing now, or the sink cannot be made here: true of every letter of this sink."""


@dataclass(frozen=True, slots=True)
class PutBack:
    """Exactly one of the two. `records`: for their topics by key; of a request its good items, and a new letter for
    each that is still refused.
    """

    records: tuple[OutgoingRecord, ...] = ()
    delivery: Delivery | None = None


def put_back(letter: DeadLetter, topics: Topics, collector: CollectorSettings) -> PutBack:
    """Raises:
    CannotReplayError: it would be refused again, it is not whole, or it has no way back.
    """
    if any(name in letter["context"] for name in CUT_MARKS):
        raise CannotReplayError("it was too large to be kept whole", "; ".join(_places(letter)))
    if letter["step"] == "worker":
        return PutBack((_of_worker(letter, topics),))
    if letter["step"] == "collector":
        return PutBack(tuple(_of_collector(letter, collector)))
    return PutBack(delivery=_of_sink(letter, topics))


def is_late(record: OutgoingRecord, now_ms: int) -> bool:
    """Is it an act so old that the fold keeps it in the log and scores it no more?"""
    kind, value = decode(record.value)
    occurred_at = value["occurred_at"] if kind == "TrackedEvent" else None
    return occurred_at is not None and occurred_at < now_ms - LATE_MS


def sink_of(letter: DeadLetter) -> str:
    return letter["step"].removeprefix("sink.")


def _of_worker(letter: DeadLetter, topics: Topics) -> OutgoingRecord:
    key, value = letter["key"], letter["value"]
    try:
        kind, _ = decode(value or b"")
    except UndecodableError as error:
        raise CannotReplayError("it would be refused again", f"{error.reason}: {error.detail}") from error
    if kind not in ABOUT_LEADS:
        raise CannotReplayError("it is no record about a lead", kind)
    if key is None or value is None or not is_lead_key(key):
        raise CannotReplayError("it would be refused again", f"bad_key: {key!r:.80} is not the key of a lead")
    return OutgoingRecord(topics.events, key, value)


def _of_collector(letter: DeadLetter, collector: CollectorSettings) -> list[OutgoingRecord]:
    context, path = letter["context"], letter["context"].get("path", "")
    if path != EVENTS_PATH and path not in SEGMENT_PATHS:
        raise CannotReplayError("its route is not known here", path)
    if not collector.secret:
        raise CannotReplayError("the collector's key_secret is not set here, so its leads would get other keys")
    request = CollectorRequest(
        path=path,
        body=letter["value"] or b"",
        received_at=letter["seen_at"],
        ip=context.get("ip"),
        user_agent=context.get(HEADER + "User-Agent"),
        authorization=_authorization(context.get("write_key"), collector),
        kept_headers={name: context[HEADER + name] for name in KEPT_HEADERS if HEADER + name in context},
    )
    read = read_request(request, collector, Completion(collector.secret, _ids(letter["id"])))
    if isinstance(read, Refused):
        raise CannotReplayError("it would be refused again", f"{read.reason}: {read.detail}")
    refused = [outcome for outcome in read.outcomes if isinstance(outcome, Rejected)]
    if not any(isinstance(outcome, Accepted) for outcome in read.outcomes):
        raise CannotReplayError("it would be refused again", f"{refused[0].reason}: {refused[0].detail}")
    return records_of(read, request, collector)


def _authorization(name: str | None, collector: CollectorSettings) -> str | None:
    """As the client said it: the letter has only the name of the key."""
    if name is None:
        return None
    key = next((key.key for key in collector.write_keys if key.name == name), None)
    if key is None:
        raise CannotReplayError("its write key is not in the settings any more", name)
    return f"Bearer {key}"


def _ids(letter_id: str) -> Callable[[], str]:
    """Ids for acts that came without one: the same each time the letter is put back."""
    numbers = itertools.count()
    return lambda: blake2b(f"{letter_id}/{next(numbers)}".encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class _Original:
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


def _of_sink(letter: DeadLetter, topics: Topics) -> Delivery:
    name, topic = sink_of(letter), letter["topic"]
    inputs: dict[str | None, Input] = {topics.transitions: "transitions", topics.scores: "scores"}
    if name in NOT_HANDED:
        raise CannotReplayError(f"the sink {name} is not handed single records", NOT_HANDED[name])
    if topic is None or topic not in inputs or letter["partition"] is None or letter["offset"] is None:
        raise CannotReplayError("its topic is none that a sink reads here", str(topic))
    original = _Original(
        topic, letter["partition"], letter["offset"], letter["seen_at"], letter["key"], letter["value"]
    )
    try:
        return decode_record(original, inputs[topic])
    except UndecodableError as error:
        raise CannotReplayError("it would be refused again", f"{error.reason}: {error.detail}") from error


def _places(letter: DeadLetter) -> list[str]:
    if letter["topic"] is None:
        return ["the client has the rest"]
    return [f"the whole record stands at {letter['topic']}/{letter['partition']}/{letter['offset']}"]
