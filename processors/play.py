"""The fold without a broker: one partition holds everybody, and a file is the log."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from processors.fold_partition import PartitionFold
from processors.model import ScoringModel
from processors.model_log import model_activated
from processors.price import Price
from schemas.codec import Kind, decode, encode
from schemas.keys import CONTROL_KEY
from schemas.records import DeadLetter, StageTransition
from schemas.rows import Row


@dataclass(frozen=True, slots=True)
class PlayedRecord:
    offset: int
    timestamp: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class Play:
    """Folds records in the order given; the time of the fold is the timestamp of each."""

    def __init__(self, model: str) -> None:
        self._fold = PartitionFold("file", 0, 1)
        self._offset = 0
        self.now = 0  # the latest timestamp so far, ms UTC
        self.transitions: dict[bytes, list[StageTransition]] = defaultdict(list)
        self.dead_letters: list[DeadLetter] = []
        self._record(CONTROL_KEY, encode("ModelActivated", model_activated(model, 1)), 0)

    def take(self, key: bytes, kind: Kind, record: Mapping[str, Any], timestamp: int) -> None:
        self.now = max(self.now, timestamp)
        self._record(key, encode(kind, record), timestamp)

    def advance(self, at: int) -> None:
        """Let time pass for everybody."""
        self.now = max(self.now, at)
        self._record(CONTROL_KEY, encode("Tick", {}), self.now)

    def leads(self) -> Iterator[tuple[bytes, Row, Price]]:
        """Everybody who is known of, priced now."""
        active = self._fold.models.newest
        for key in self._fold.rows.all_keys():
            opened = self._fold.rows.read(key)
            if opened is not None and active is not None:
                yield key, opened.row, Price(opened.row, active, max(self.now, opened.row.now))

    @property
    def model(self) -> ScoringModel:
        active = self._fold.models.newest
        assert active is not None  # the first record activated it
        return active.model

    @property
    def outcomes(self) -> Mapping[str, int]:
        return self._fold.outcomes

    def _record(self, key: bytes, value: bytes, timestamp: int) -> None:
        for sent in self._fold.fold([PlayedRecord(self._offset, timestamp, key, value)]):
            if sent.kind == "StageTransition":
                self.transitions[sent.key].append(cast("StageTransition", decode(sent.value or b"")[1]))
            elif sent.kind == "DeadLetter":
                self.dead_letters.append(cast("DeadLetter", decode(sent.value or b"")[1]))
        self._offset += 1
