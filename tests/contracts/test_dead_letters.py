"""The laws of dead letters, each on every part: whole, with the reason, and confirmed before the part moves on."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.dead_letters import MAX_KEY_BYTES, MAX_VALUE_BYTES, dead_letter, headers_for_people
from processors.fold_partition import PartitionFold
from schemas.codec import Kind, decode, encode
from schemas.records import DeadLetter
from sinks.base import Undeliverable
from sources.base import BrokerUnavailableError, OutgoingRecord
from sources.config import WriteKey
from streams.delivery.dead_share import DeadShare
from streams.delivery.delivery import Deliverer, Place, SinkStatus
from streams.engine.checkpoint import ChangelogRecord, Checkpoint
from streams.engine.partitions import Batch, Partition, Partitions
from streams.engine.state import Output
from streams.parts import SINKS
from streams.scoring_state import ScoringState
from tests.sinks.memory import CountedMetrics, MemorySink
from tests.sinks.records import MARCH_2, transition
from tests.sources.http.running import SETTINGS, running_collector
from tests.streams.engine.doubles import CountingMetrics

GARBAGE = b'\xc3\x01\x00 no record, and \xff no text "'
KEY = b"1ada"
PARTS = ("collector", "worker", *(f"sink.{name}" for name in SINKS))


@dataclass(frozen=True)
class Given:
    """A record of a topic."""

    topic: str = "topic"
    partition: int = 0
    offset: int = 7
    timestamp: int = MARCH_2
    key: bytes | None = KEY
    value: bytes | None = GARBAGE
    headers: Sequence[tuple[str, bytes]] = (("traceparent", b"00-abc"), ("raw", b"\xff"), ("raw", b"2"))


class Rig(ABC):
    """One part between an input that holds `GARBAGE` and a log that may refuse.

    `effects`: "letter" when one is confirmed, "moved" when the part has let go of its input.
    """

    part: str
    context: Mapping[str, str]

    def __init__(self) -> None:
        self.effects: list[str] = []
        self.letters: list[DeadLetter] = []
        self.away = False

    @abstractmethod
    async def take_garbage(self) -> None:
        """Let the part do its work; a log that refuses must not make it lose anything."""

    def hold(self, value: bytes | None) -> None:
        """The log has the record, or refuses it."""
        if self.away:
            raise ConnectionError("the log does not confirm")
        kind, record = decode(value or b"")
        assert kind == "DeadLetter"
        self.letters.append(cast("DeadLetter", record))
        self.effects.append("letter")


class CollectorRig(Rig):
    """It lets go of its input by a 2xx or by a 400, after which no client sends it again."""

    part = "collector"
    context: Mapping[str, str] = {
        "path": "/v1/batch",
        "write_key": "website",
        "ip": "127.0.0.0",
        "header.Content-Type": "text/plain",
        "header.User-Agent": "a browser",
        "header.DNT": "1",
    }

    async def take_garbage(self) -> None:
        settings = type(SETTINGS)(secret=b"s", write_keys=(WriteKey("website", "secret-key"),))
        headers = {
            "Authorization": "Basic c2VjcmV0LWtleTo=",
            "Cookie": "session=secret",
            "Content-Type": "text/plain",
            "User-Agent": "a browser",
            "DNT": "1",
            "X-Forwarded-For": "203.0.113.77",
            "X-Api-Key": "secret",
        }
        async with running_collector(settings, producer=self) as running, aiohttp.ClientSession() as session:
            url = f"{running.url}/v1/batch?writeKey=secret-key"
            async with session.post(url, data=GARBAGE, headers=headers) as answer:
                if answer.status == 400:
                    self.effects.append("moved")
                else:
                    assert answer.status == 503, "the client sends it again"

    async def send(self, records: Sequence[OutgoingRecord]) -> None:
        for record in records:
            try:
                self.hold(record.value)
            except ConnectionError as error:
                raise BrokerUnavailableError(str(error)) from error

    def ready(self) -> bool:
        return True


class WorkerRig(Rig):
    """The real fold, its partition and the real checkpoint; Kafka's side is this object."""

    part = "worker"
    context: Mapping[str, str] = {"header.traceparent": "00-abc", "header.raw": "\\xff", "header.raw.2": "2"}

    async def take_garbage(self) -> None:
        topics: dict[Kind, str] = {"DeadLetter": "dead-letters"}
        fold = PartitionFold("topic", 0, 1)
        state = ScoringState(fold, 0, topics, CountingMetrics(), DeadShare())
        partition = Partition(0, 1, state, 7, 0, 8)
        partitions = Partitions(self._send, CountingMetrics(), batch_records=10)
        partitions.own([partition])
        failures: list[str] = []
        checkpoint = Checkpoint(partitions, self, CountingMetrics(), on_failure=failures.append)
        partitions.fold(Batch.accepted(partition, [Given()]))
        await checkpoint.run()
        assert bool(failures) == self.away

    def _send(self, outputs: Sequence[Output]) -> asyncio.Future[None]:
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            for output in outputs:
                assert output.topic == "dead-letters"
                self.hold(output.value)
            sent.set_result(None)
        except ConnectionError as error:
            sent.set_exception(error)
        return sent

    async def confirm(self, outputs: Sequence[asyncio.Future[None]]) -> None:
        await asyncio.gather(*outputs)

    async def is_member(self, generation: int) -> bool:
        return True

    async def write_changelog(self, partition: int, records: Sequence[ChangelogRecord]) -> list[tuple[int, int]]:
        return []

    async def commit(self, offsets: Mapping[int, int], generation: int) -> bool:
        assert offsets == {0: 8}
        self.effects.append("moved")
        return True

    def rejoin(self, reason: str) -> None:
        raise AssertionError(reason)


class SinkRig(Rig):
    """Delivery, with the name of each sink: it alone writes the letters of all of them."""

    context = WorkerRig.context

    def __init__(self, part: str) -> None:
        super().__init__()
        self.part = part

    async def take_garbage(self) -> None:
        await self.take(Given(), MemorySink())

    async def take(self, record: Given, sink: MemorySink) -> None:
        name = self.part.removeprefix("sink.")
        deliverer = Deliverer(
            name,
            sink,
            self,
            {"topic": "transitions"},
            metrics=CountedMetrics(),
            now_ms=lambda: MARCH_2,
            status=SinkStatus(joined=True),
        )
        try:
            await deliverer.handle([record])
        except ConnectionError:
            assert self.away

    async def write_dead_letter(self, letter: DeadLetter) -> None:
        self.hold(encode("DeadLetter", letter))

    async def commit(self, ends: Mapping[Place, int]) -> None:
        assert ends == {("topic", 0): 8}
        self.effects.append("moved")

    async def rewind(self, places: frozenset[Place] | None) -> None:
        raise AssertionError


def rig_of(part: str) -> Rig:
    makers: dict[str, Callable[[], Rig]] = {"collector": CollectorRig, "worker": WorkerRig}
    return makers[part]() if part in makers else SinkRig(part)


@pytest.fixture(params=PARTS)
def rig(request: pytest.FixtureRequest) -> Rig:
    return rig_of(request.param)


async def test_a_letter_is_confirmed_before_the_part_moves_on(rig: Rig) -> None:
    await rig.take_garbage()
    assert rig.effects == ["letter", "moved"]


async def test_without_the_confirmation_the_part_does_not_move(rig: Rig) -> None:
    rig.away = True
    await rig.take_garbage()
    assert rig.effects == []
    rig.away = False
    await rig.take_garbage()
    assert rig.effects == ["letter", "moved"]


async def test_a_letter_holds_the_original_whole_with_the_reason_and_what_came_beside_it(rig: Rig) -> None:
    await rig.take_garbage()
    [letter] = rig.letters
    assert letter["value"] == GARBAGE
    assert letter["step"] == rig.part
    assert letter["reason"] in ("bad_json", "unknown_schema")
    assert letter["detail"]
    assert letter["context"] == rig.context
    if rig.part != "collector":
        assert (letter["topic"], letter["partition"], letter["offset"], letter["key"]) == ("topic", 0, 7, KEY)
        assert (letter["id"], letter["seen_at"]) == ("topic/0/7", MARCH_2)


async def test_a_letter_never_holds_a_secret_of_a_request() -> None:
    rig = CollectorRig()
    await rig.take_garbage()
    assert b"secret" not in encode("DeadLetter", rig.letters[0])
    assert b"203.0.113.77" not in encode("DeadLetter", rig.letters[0])


@pytest.mark.parametrize("name", ["webhook", "alerts"])
async def test_what_a_destination_refuses_is_a_letter_of_its_transition(name: str) -> None:
    rig, sink = SinkRig(f"sink.{name}"), MemorySink()
    sink.troubles = [Undeliverable("410 Gone")]
    value = encode("StageTransition", transition())
    await rig.take(Given(value=value), sink)
    assert rig.effects == ["letter", "moved"]
    [letter] = rig.letters
    assert (letter["reason"], letter["detail"], letter["value"]) == ("undeliverable", "410 Gone", value)


@given(
    st.binary(max_size=20).map(lambda data: data * 100_000),
    st.binary(max_size=20).map(lambda data: data * 20_000),
    st.lists(st.tuples(st.text(max_size=9), st.binary(max_size=9).map(lambda data: data * 500)), max_size=50),
)
def test_whatever_the_record_its_letter_fits_into_a_record(
    value: bytes, key: bytes, headers: list[tuple[str, bytes]]
) -> None:
    letter = dead_letter(
        Given(key=key, value=value, headers=headers), "topic", 0, step="worker", reason="bad_avro", detail="d" * 9_999
    )
    assert len(encode("DeadLetter", letter)) + len(letter["key"] or b"") < 1_040_000
    whole = len(value) <= MAX_VALUE_BYTES and len(key) <= MAX_KEY_BYTES
    assert whole == ((letter["value"], letter["key"]) == (value, key))
    assert whole == ({"value_bytes", "key_bytes"}.isdisjoint(letter["context"]))


def test_headers_without_end_are_not_all_kept_and_the_letter_says_so() -> None:
    shown = headers_for_people([(f"h{number}", b"x" * 5_000) for number in range(100)])
    assert len(shown["header.h0"]) == 1_000
    assert "header.h99" not in shown
    assert shown["headers"] == "too many; not all of them are kept"
