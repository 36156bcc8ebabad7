"""Random records for a simulated log: acts with repeats and lateness, feedback, garbage, ticks and other models."""

import random
from collections.abc import Callable
from functools import cache

from processors.model import event_from_fields
from processors.model_log import model_activated
from schemas.codec import encode
from schemas.keys import CONTROL_KEY, partition_of
from tests.processors.small_models import STAGED, changed

START_MS = 1_772_442_000_000  # 2026-03-02T09:00Z
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MODELS = (STAGED, changed(STAGED, ("points: 60", "points: 90"), ("half_life: 10d", "half_life: 5d")))
_EVENTS = ("demo", "webinar", "webinar", "page_view", "page_view", "complaint")
_WORDS = ("accepted", "lost", "won")

Record = tuple[bytes | None, bytes | None]


@cache
def activation(n: int) -> bytes:
    return encode("ModelActivated", model_activated(MODELS[n % len(MODELS)], n))


@cache
def keys_of(partition: int, partitions: int) -> tuple[bytes, ...]:
    """Two leads of a partition."""
    names = (b"1lead-%d" % number for number in range(1000))
    mine = (name for name in names if partition_of(name, partitions) == partition)
    return next(mine), next(mine)


class Traffic:
    """What is written to the log next. The same seed writes the same."""

    def __init__(self, random_: random.Random, partitions: int) -> None:
        self._random = random_
        self._partitions = partitions
        self._sent: list[tuple[int, Record]] = []
        self._activations = 0
        self._written = 0

    def first(self) -> list[tuple[int, Record]]:
        """What every log begins with."""
        epoch = (CONTROL_KEY, encode("Epoch", {"epoch": 1}))
        return [(number, epoch) for number in range(self._partitions)] + self._activate()

    def next(self, now_ms: int) -> list[tuple[int, Record]]:
        """(partition, record), usually one."""
        self._written += 1
        draw = self._random.random()
        if draw < 0.03:
            return self._activate()
        partition = self._random.randrange(self._partitions)
        key = self._random.choice(keys_of(partition, self._partitions))
        if draw < 0.06:
            return [(partition, (key, self._random.choice([b"", b"\xc3\x01garbage", b"{", None])))]
        if draw < 0.14 and self._sent:
            return [self._random.choice(self._sent)]  # a client sends the same again
        make: Callable[[bytes, int], Record] = self._feedback if draw < 0.2 else self._act
        sent = (partition, make(key, now_ms))
        self._sent.append(sent)
        return [sent]

    def _activate(self) -> list[tuple[int, Record]]:
        self._activations += 1
        record = (CONTROL_KEY, activation(self._activations))
        return [(number, record) for number in range(self._partitions)]

    def _act(self, key: bytes, now_ms: int) -> Record:
        late_ms = self._random.choice([0, 0, 0, HOUR_MS, 2 * DAY_MS, 8 * DAY_MS])
        event = event_from_fields({"event": self._random.choice(_EVENTS)}, now_ms - late_ms)
        event["event_id"] = f"e{self._written}"
        return key, encode("TrackedEvent", event)

    def _feedback(self, key: bytes, now_ms: int) -> Record:
        word = self._random.choice(_WORDS)
        answer = {"word": word, "system": "crm", "object": "o1", "version": self._written, "silent": False}
        return key, encode("Feedback", {**answer, "user": None, "reason": None})
