"""Replays and drops dead letters: sends, waits for the confirmation, then notes what became of each.

In this order, so that an end in the middle loses nothing: what was sent and not noted is sent again by the next run, with
the same event ids.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from typing import NamedTuple, Protocol, TypeVar

from aiokafka import TopicPartition

from schemas.keys import partition_of
from sinks.base import Delivery
from sources.base import OutgoingRecord
from streams.delivery.letters import Letter
from streams.delivery.put_back import CannotReplayError, PutBack, SinkAwayError, sink_of
from streams.kafka.brokers import Brokers
from streams.kafka.send_record import RecordWriter

CHUNK = 100  # letters between two confirmations
_Item = TypeVar("_Item")


class Handled(NamedTuple):
    """`skipped`: why nothing was done; empty: it was. `detail`: where it went, or more about why not."""

    letter: Letter
    detail: str = ""
    skipped: str = ""


class Hand(Protocol):
    """One sink that takes single deliveries."""

    async def __call__(self, delivery: Delivery) -> None:
        """Raises:
        CannotReplayError: not now, or never.
        """


class LetterHandler:
    """`hands` opens a sink by name, to be closed with the stack; each is opened once, and only if a letter is for it.

    `partitions`: of every topic.
    """

    def __init__(
        self,
        brokers: Brokers,
        letters_topic: str,
        partitions: int,
        *,
        now_ms: Callable[[], int],
        hands: Callable[[str, AsyncExitStack], Hand],
        on_progress: Callable[[int], None],
    ) -> None:
        self._brokers = brokers
        self._letters_topic = letters_topic
        self._partitions = partitions
        self._now_ms = now_ms
        self._open_hand = hands
        self._on_progress = on_progress

    async def replay(self, plan: Sequence[tuple[Letter, PutBack]]) -> list[Handled]:
        """Raises:
        aiokafka.errors.KafkaError: not all was confirmed; run it again.
        """
        done: list[Handled] = []
        async with RecordWriter.open(self._brokers) as writer, AsyncExitStack() as stack:
            hands = _Hands(self._open_hand, stack)
            for chunk in _chunks(plan):
                places = await self._send(writer, [record for _, back in chunk for record in back.records])
                handled = []
                for letter, back in chunk:
                    if back.delivery is not None:
                        handled.append(await hands.give(letter, back.delivery))
                    else:
                        handled.append(Handled(letter, _where([next(places) for _ in back.records])))
                await self._note(writer, "replayed", handled)
                done += handled
                self._on_progress(len(done))
        return done

    async def drop(self, letters: Sequence[Letter]) -> list[Handled]:
        """Raises:
        aiokafka.errors.KafkaError: as above.
        """
        done: list[Handled] = []
        async with RecordWriter.open(self._brokers) as writer:
            for chunk in _chunks(letters):
                handled = [Handled(letter) for letter in chunk]
                await self._note(writer, "dropped", handled)
                done += handled
                self._on_progress(len(done))
        return done

    async def _send(self, writer: RecordWriter, records: Iterable[OutgoingRecord]) -> Iterator[str]:
        homed = [
            (TopicPartition(record.topic, partition_of(record.key, self._partitions)), record.key, record.value)
            for record in records
        ]
        offsets = await writer.write(homed, self._now_ms())
        return iter([f"{tp.topic}/{tp.partition}/{offset}" for (tp, _, _), offset in zip(homed, offsets, strict=True)])

    async def _note(self, writer: RecordWriter, outcome: str, handled: Iterable[Handled]) -> None:
        now_ms = self._now_ms()
        marks = [
            (TopicPartition(self._letters_topic, one.letter.partition), *one.letter.mark(outcome, now_ms, one.detail))
            for one in handled
            if not one.skipped
        ]
        await writer.write(marks, now_ms)


class _Hands:
    """The sinks of one run. One that is away is not asked again for every letter."""

    def __init__(self, open_hand: Callable[[str, AsyncExitStack], Hand], stack: AsyncExitStack) -> None:
        self._open_hand = open_hand
        self._stack = stack
        self._open: dict[str, Hand] = {}
        self._trouble: dict[str, CannotReplayError] = {}

    async def give(self, letter: Letter, delivery: Delivery) -> Handled:
        name = sink_of(letter.letter)
        try:
            if name in self._trouble:
                raise self._trouble[name]
            if name not in self._open:
                self._open[name] = self._open_hand(name, self._stack)
            await self._open[name](delivery)
        except SinkAwayError as error:
            self._trouble[name] = error
            return Handled(letter, error.detail, error.why)
        except CannotReplayError as error:
            return Handled(letter, error.detail, error.why)
        return Handled(letter, f"handed to the sink {name}")


def _chunks(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    return (items[first : first + CHUNK] for first in range(0, len(items), CHUNK))


def _where(places: Sequence[str]) -> str:
    more = f" and {len(places) - 1} more" if len(places) > 1 else ""
    return f"put back at {places[0]}{more}"
