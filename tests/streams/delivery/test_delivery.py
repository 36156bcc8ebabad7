"""The order of effects, each test as one recorded list; no Kafka."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pytest
import stamina
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import encode
from schemas.records import DeadLetter
from sinks.base import RetryLater, StartOver, Undeliverable
from streams.delivery.circuit import FAILURES_TO_OPEN
from streams.delivery.dead_share import LEAST_SEEN
from streams.delivery.delivery import (
    Deliverer,
    Place,
    SinkStatus,
    TooManyDeadLettersError,
    decode_record,
)
from tests.sinks.memory import CountedMetrics, MemorySink
from tests.sinks.records import MARCH_2, model, snapshot, transition


@dataclass(frozen=True)
class FakeRecord:
    offset: int
    value: bytes | None = field(default_factory=lambda: encode("StageTransition", transition()))
    topic: str = "transitions"
    partition: int = 0
    timestamp: int = MARCH_2
    key: bytes | None = b"1c_81f2aaaa"
    headers: tuple[tuple[str, bytes], ...] = ()


class RecordedLog:
    def __init__(self, effects: list[str]) -> None:
        self.effects = effects
        self.letters: list[DeadLetter] = []

    async def write_dead_letter(self, letter: DeadLetter) -> None:
        self.letters.append(letter)
        self.effects.append(f"dead-lettered {letter['offset']} {letter['reason']}")

    async def commit(self, ends: Mapping[Place, int]) -> None:
        self.effects.append(f"committed {' '.join(f'{topic}/{n}={end}' for (topic, n), end in ends.items())}")

    async def rewind(self, places: frozenset[Place] | None) -> None:
        self.effects.append(f"rewound {'all' if places is None else sorted(places)}")


class Rig:
    def __init__(self) -> None:
        self.effects: list[str] = []
        self.sink = MemorySink(self.effects)
        self.log = RecordedLog(self.effects)
        self.metrics = CountedMetrics()
        self.status = SinkStatus(joined=True)
        self.deliverer = Deliverer(
            "memory",
            self.sink,
            self.log,
            {"transitions": "transitions", "scores": "scores"},
            metrics=self.metrics,
            now_ms=lambda: MARCH_2 + 40,
            status=self.status,
        )


@pytest.fixture
def rig() -> Rig:
    return Rig()


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=100):
        yield


def records(*offsets: int) -> list[FakeRecord]:
    return [FakeRecord(offset) for offset in offsets]


async def test_what_is_delivered_is_committed_afterwards(rig: Rig) -> None:
    await rig.deliverer.handle([*records(3, 4), FakeRecord(9, partition=1)])
    assert rig.effects == [
        "delivered 3",
        "delivered 4",
        "delivered 9",
        "committed transitions/0=5 transitions/1=10",
    ]
    assert rig.metrics.counts["leadstream_sink_records_total", "memory", "delivered"] == 3
    assert rig.metrics.observed["leadstream_sink_delay_seconds"] == [0.04] * 3
    assert rig.status.last_success_ms == MARCH_2 + 40


async def test_a_retry_goes_on_where_the_attempt_stopped(rig: Rig) -> None:
    rig.sink.troubles = [RetryLater("busy", done=1), RetryLater("busy"), RetryLater("busy", done=1)]
    await rig.deliverer.handle(records(1, 2, 3))
    assert rig.effects == ["delivered 1", "delivered 2", "delivered 3", "committed transitions/0=4"]
    assert rig.metrics.counts["leadstream_sink_retries_total", "memory"] == 3
    assert rig.status.problem() is None


async def test_an_undeliverable_record_is_a_dead_letter_before_the_commit_and_the_others_go_on(rig: Rig) -> None:
    rig.sink.troubles = [Undeliverable("410", done=1)]
    await rig.deliverer.handle(records(1, 2, 3))
    assert rig.effects == [
        "delivered 1",
        "dead-lettered 2 undeliverable",
        "delivered 3",
        "committed transitions/0=4",
    ]
    letter = rig.log.letters[0]
    assert letter["id"] == "transitions/0/2"
    assert (letter["step"], letter["detail"], letter["value"]) == ("sink.memory", "410", records(2)[0].value)


@pytest.mark.parametrize(
    ("value", "topic", "reason"),
    [
        (b"", "transitions", "empty"),
        (None, "transitions", "empty"),
        (b"\x00garbage", "transitions", "bad_avro"),
        (b"\xc3\x01" + b"?" * 30, "scores", "unknown_schema"),
        (encode("StageTransition", transition())[:-9], "transitions", "bad_avro"),
        (encode("StageTransition", transition()), "scores", "unknown_schema"),
        (encode("LeadSnapshot", snapshot()), "transitions", "unknown_schema"),
        (b'{"type": "page_view", "event_id": "e"}', "transitions", "unknown_schema"),
        (b"{", "transitions", "bad_json"),
    ],
)
async def test_what_is_no_record_of_the_topic_is_a_dead_letter_before_the_commit(
    rig: Rig, value: bytes | None, topic: str, reason: str
) -> None:
    await rig.deliverer.handle([FakeRecord(1, value, topic)])
    assert rig.effects == [f"dead-lettered 1 {reason}", f"committed {topic}/0=2"]
    assert rig.metrics.counts["leadstream_sink_dead_letters_total", "memory", reason] == 1


async def test_a_record_without_a_key_is_a_dead_letter(rig: Rig) -> None:
    await rig.deliverer.handle([FakeRecord(1, key=None)])
    assert rig.effects == ["dead-lettered 1 bad_key", "committed transitions/0=2"]


def test_a_null_value_on_the_scores_topic_means_forgotten() -> None:
    delivery = decode_record(FakeRecord(1, None, "scores"), "scores")
    assert (delivery.kind, delivery.record, delivery.key) == (None, None, b"1c_81f2aaaa")


def test_the_model_on_the_scores_topic_reaches_the_sink() -> None:
    delivery = decode_record(FakeRecord(1, encode("ModelActivated", model(3)), "scores"), "scores")
    assert (delivery.kind, delivery.record) == ("ModelActivated", model(3))


async def test_an_empty_destination_is_told_everything_from_the_beginning_and_nothing_is_committed(rig: Rig) -> None:
    rig.sink.troubles = [StartOver("empty")]
    await rig.deliverer.handle(records(5, 6))
    assert rig.effects == ["rewound [('transitions', 0)]"]


async def test_a_bug_in_a_sink_stops_before_anything_is_committed(rig: Rig) -> None:
    rig.sink.troubles = [ZeroDivisionError()]  # type: ignore[list-item]  # what no sink may raise
    rig.sink.troubles[0].done = 1
    with pytest.raises(ZeroDivisionError):
        await rig.deliverer.handle(records(1, 2))
    assert rig.effects == ["delivered 1"]


async def test_a_dead_letter_that_is_not_confirmed_stops_before_the_commit(rig: Rig) -> None:
    async def refuse(letter: DeadLetter) -> None:
        raise ConnectionError("no broker")

    rig.log.write_dead_letter = refuse  # type: ignore[method-assign]  # the broker is away
    with pytest.raises(ConnectionError):
        await rig.deliverer.handle([FakeRecord(1, b"")])
    assert rig.effects == []


async def test_when_most_records_are_dead_the_sink_stops_and_commits_nothing(rig: Rig) -> None:
    rig.sink.troubles = [Undeliverable("400") for _ in range(LEAST_SEEN)]
    with pytest.raises(TooManyDeadLettersError, match=r"sink memory stops: 100 .*transitions/0/99: undeliverable: 400"):
        await rig.deliverer.handle(records(*range(150)))
    assert len(rig.log.letters) == LEAST_SEEN - 1
    assert not any(effect.startswith("committed") for effect in rig.effects)


async def started(rig: Rig, log: list[FakeRecord], position: int, size: int) -> int:
    """Deliver from `position` on in batches until all is done or the sink stops; where it is committed then."""
    while position < len(log):
        try:
            await rig.deliverer.handle(log[position : position + size])
        except TooManyDeadLettersError:
            break
        position = min(position + size, len(log))
    return position


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 150), min_size=1, max_size=6))
async def test_a_sink_that_is_started_again_and_again_loses_nothing(sizes: list[int]) -> None:
    log, position, ended = records(*range(400)), 0, set[int]()
    for size in sizes:  # of the batches of each start, while the destination refuses all of them
        rig = Rig()
        rig.sink.troubles = [Undeliverable("400") for _ in log]
        before, position = position, await started(rig, log, position, size)
        assert position - before < LEAST_SEEN
        ended |= {letter["offset"] or 0 for letter in rig.log.letters}
        assert set(range(position)) <= ended
    mended = Rig()
    assert await started(mended, log, position, 50) == len(log)
    delivered = [effect for effect in mended.effects if effect.startswith("delivered")]
    assert delivered == [f"delivered {offset}" for offset in range(position, len(log))]


async def test_a_share_of_1_turns_the_stop_off(rig: Rig) -> None:
    deliverer = Deliverer(
        "memory",
        rig.sink,
        rig.log,
        {"transitions": "transitions"},
        metrics=rig.metrics,
        now_ms=lambda: MARCH_2,
        status=rig.status,
        dead_letter_share=1.0,
    )
    rig.sink.troubles = [Undeliverable("400") for _ in range(300)]
    await deliverer.handle(records(*range(300)))
    assert len(rig.log.letters) == 300
    assert rig.effects[-1] == "committed transitions/0=300"


async def test_while_the_circuit_is_open_one_record_is_the_probe(rig: Rig) -> None:
    seen: list[tuple[int, str | None]] = []
    deliver = rig.sink.deliver

    async def watched(batch: list[object]) -> None:
        seen.append((len(batch), rig.status.problem()))
        await deliver(batch)  # type: ignore[arg-type]  # passed on as it came

    rig.sink.deliver = watched  # type: ignore[assignment,method-assign]  # a spy
    rig.sink.troubles = [RetryLater("down") for _ in range(FAILURES_TO_OPEN + 1)]
    await rig.deliverer.handle(records(1, 2, 3))
    open_ = "the destination does not answer: down"
    assert seen == [(3, None)] * FAILURES_TO_OPEN + [(1, open_), (1, open_), (2, None)]
    assert rig.effects == ["delivered 1", "delivered 2", "delivered 3", "committed transitions/0=4"]
    assert rig.metrics.gauges["leadstream_sink_circuit_open"] == 0


@pytest.mark.parametrize(("asked", "waited"), [(None, True), (7.5, 7.5)])
def test_the_wait_is_what_was_asked_for_else_the_growing_one(rig: Rig, asked: float | None, waited: float) -> None:
    assert rig.deliverer._wait_after(RetryLater("busy", asked)) == waited
    assert rig.deliverer._wait_after(ValueError()) is False


@given(st.lists(st.sampled_from([RetryLater, Undeliverable]), max_size=15))
async def test_whatever_goes_wrong_each_record_ends_once_and_in_order(
    troubles: list[type[RetryLater] | type[Undeliverable]],
) -> None:
    rig = Rig()
    rig.sink.troubles = [trouble("trouble") for trouble in troubles]
    await rig.deliverer.handle(records(*range(17)))
    ended = [int(effect.split()[1]) for effect in rig.effects[:-1]]
    assert ended == list(range(17))
    assert rig.effects[-1] == "committed transitions/0=17"
