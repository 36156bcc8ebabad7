"""What the fold sends, compared with what stands on the topics: transitions by id and bytes, dead letters by id."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, cast

from aiokafka import ConsumerRecord, TopicPartition

from schemas.codec import Kind, UndecodableError, decode
from schemas.records import DeadLetter, StageTransition
from streams.kafka.brokers import Brokers
from streams.kafka.log_reader import log_start, read_log
from streams.kafka.topics import DEAD_LETTERS_MS, Topics
from streams.verification.bounds import Span
from streams.verification.replay import ExpectedLetter, ExpectedLetters
from streams.verification.report import Difference, VerifyReport

MAX_DETAILED = 20  # transitions of a partition that are shown as they stand on the topic; all are counted


class TransitionsCheck:
    """The transitions of one partition; only a digest of each is kept.

    Attributes:
        next_start: offset on the topic before which, after `read`, nothing is of a record behind the live rows.
    """

    def __init__(self, brokers: Brokers, tp: TopicPartition, span: Span, report: VerifyReport) -> None:
        self._brokers = brokers
        self._tp = tp
        self._span = span
        self._report = report
        self.next_start = 0
        self._told: dict[str, tuple[bytes, int]] = {}  # id -> (digest, offset of the first of its records)
        self._unequal: list[tuple[int, StageTransition]] = []

    async def read(self, only: Collection[bytes] | None, start: int = 0) -> None:
        """Read the topic from `start`, after the changelog: what is told of a row was confirmed before the row was written."""
        first = max(start, (await log_start(self._brokers, [self._tp]))[self._tp])
        ahead: int | None = None
        self.next_start = first
        async for record in read_log(self._brokers, [self._tp], start={self._tp: first}):
            self.next_start = record.offset + 1
            if only is not None and record.key not in only:
                continue
            transition = _transition(record)
            if transition is None:
                self._differs(f"offset {record.offset}", "record", "no transition", "nothing")
                self._report.extra += 1
            elif self._span.covers(record.key, transition["offset"]):
                self._tell(transition, record)
            elif ahead is None and transition["offset"] > self._span.live.bound(record.key or b""):
                ahead = record.offset
        self.next_start = self.next_start if ahead is None else ahead

    def _tell(self, transition: StageTransition, record: ConsumerRecord) -> None:
        digest = _digest(record.value)
        before = self._told.setdefault(transition["id"], (digest, record.offset))
        if before[0] != digest:  # a repeat is allowed, another text under the same id is not
            self._report.unequal_transitions += 1
            at = f"offset {record.offset}"
            self._differs(at, f"repeat of {transition['id']}", "other bytes", f"those of offset {before[1]}")

    def compare(self, transition: StageTransition, value: bytes) -> None:
        """Take a transition that the log gives."""
        self._report.transitions += 1
        found = self._told.pop(transition["id"], None)
        if found is None:
            self._report.missing += 1
            self._differs(f"transition {transition['id']}", "record", "missing", _words(transition))
        elif found[0] != _digest(value):
            self._report.unequal_transitions += 1
            self._unequal.append((found[1], transition))

    async def finish(self) -> None:
        """What is told of on the topic, and no more: extra."""
        for number, (offset, replayed) in enumerate(self._unequal):
            live = await self._read(offset) if number < MAX_DETAILED else None
            for name, ours, theirs in _fields(live, replayed):
                self._differs(f"transition {replayed['id']} of lead {replayed['lead_key']}", name, ours, theirs)
        self._report.extra += len(self._told)
        for number, (id_, (_, offset)) in enumerate(self._told.items()):
            live = await self._read(offset) if number < MAX_DETAILED else None
            shown = "there" if live is None else _words(live)
            self._differs(f"transition {id_}", f"offset {offset}", shown, "no such transition")

    async def _read(self, offset: int) -> StageTransition | None:
        async for record in read_log(self._brokers, [self._tp], start={self._tp: offset}, stop={self._tp: offset + 1}):
            return _transition(record)
        return None

    def _differs(self, where: str, what: str, live: str, replayed: str) -> None:
        self._report.differences.append(
            Difference(f"{self._tp.topic}/{self._tp.partition} {where}", what, live, replayed)
        )


def _transition(record: ConsumerRecord) -> StageTransition | None:
    kind, value = _decoded(record)
    return cast("StageTransition", value) if kind == "StageTransition" else None


def _digest(value: bytes) -> bytes:
    return blake2b(value, digest_size=16).digest()


def _words(transition: StageTransition) -> str:
    return (
        f"{transition['from_stage']} -> {transition['to_stage']} of lead {transition['lead_key']!r} "
        f"by epoch {transition['epoch']} offset {transition['offset']}"
    )


def _fields(live: StageTransition | None, replayed: StageTransition) -> list[tuple[str, str, str]]:
    """The fields that differ, as they stand on both sides."""
    if live is None:
        return [("bytes", "others", _words(replayed))]
    named = [(name, repr(live[name]), repr(value)) for name, value in replayed.items() if live[name] != value]  # type: ignore[literal-required]  # its own fields
    return [(name, ours[:200], theirs[:200]) for name, ours, theirs in named] or [("bytes", "others", _words(replayed))]


@dataclass(frozen=True, slots=True)
class LettersCheck:
    """The worker's dead letters, by id.

    Attributes:
        expected: partition of the events topic -> what its log gives; its letters stand in the partition of that number.
        only: restricts it to records with these keys.
    """

    brokers: Brokers
    topics: Topics
    partitions: int
    expected: Mapping[int, ExpectedLetters]
    only: Collection[bytes] | None

    async def compare(self, report: VerifyReport) -> None:
        missing = {number: dict(given.letters) for number, given in self.expected.items()}
        known = {id_ for letters in missing.values() for id_ in letters}
        report.dead_letters = len(known)
        unexpected = dict[str, str]()
        tps = [TopicPartition(self.topics.dead_letters, number) for number in range(self.partitions)]
        first = dict[TopicPartition, ConsumerRecord]()
        async for record in read_log(self.brokers, tps):
            first.setdefault(TopicPartition(record.topic, record.partition), record)
            kind, value = _decoded(record)
            if kind == "DeadLetterHandled":
                unexpected.pop(value["id"], None)  # somebody has looked at it
            if kind != "DeadLetter" or not self._judges(letter := cast("DeadLetter", value)):
                continue
            if letter["id"] not in known:
                unexpected[letter["id"]] = letter["reason"]
            missing[letter["partition"] or 0].pop(letter["id"], None)
        report.differences += [_letter_differs(id_, reason, "no dead letter") for id_, reason in unexpected.items()]
        starts = await log_start(self.brokers, [tp for tp in tps if tp not in first])
        for number, letters in missing.items():
            tp, newest_ms = tps[number], self.expected[number].newest_ms
            _report_missing(letters, expired_up_to_ms(first.get(tp), starts.get(tp, 0), newest_ms), report)

    def _judges(self, letter: DeadLetter) -> bool:
        given = self.expected.get(letter["partition"] or 0)
        if letter["step"] != "worker" or letter["topic"] != self.topics.events or given is None:
            return False
        if self.only is not None and letter["key"] not in self.only:
            return False
        return given.span.covers(letter["key"], letter["offset"] or 0)


def expired_up_to_ms(first: ConsumerRecord | None, start: int, newest_ms: int) -> int:
    """The time (UTC) of the newest record whose letter retention may have taken from a partition; -1: it has taken none.

    A letter is written after its record, so the letter of a later record would stand behind the `first` that is left.
    Where none is left and the partition begins at `start`, the newest record of the log, at `newest_ms`, is a clock.
    """
    if first is not None:
        return first.timestamp if first.offset > 0 else -1
    return newest_ms - DEAD_LETTERS_MS if start > 0 else -1


def _report_missing(letters: Mapping[str, ExpectedLetter], up_to_ms: int, report: VerifyReport) -> None:
    for id_, letter in letters.items():
        if letter.at_ms <= up_to_ms:
            report.expired_letters += 1
        else:
            report.lost += 1
            report.differences.append(_letter_differs(id_, "missing", letter.reason))


def _letter_differs(id_: str, live: str, replayed: str) -> Difference:
    return Difference(f"dead letter {id_}", "record", live, replayed)


def _decoded(record: ConsumerRecord) -> tuple[Kind | None, dict[str, Any]]:
    try:
        return decode(record.value or b"")
    except UndecodableError:
        return None, {}
