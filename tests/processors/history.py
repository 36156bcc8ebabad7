"""A lead's history, told in days, folded by the real partition fold."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from processors.fold_partition import PartitionFold
from processors.model import event_from_fields
from processors.model_log import model_activated, pack_model, read_model_record
from processors.outbox import Sent
from processors.price import Price
from processors.run_model_tests import start_of_tests_ms
from schemas.codec import decode, encode
from schemas.keys import CONTROL_KEY
from schemas.records import StageTransition, TrackedEvent

DAY_MS = 86_400_000
LEAD = b"1ada"


@dataclass(frozen=True)
class Logged:
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


def model_record(text: str, n: int = 1, *, notify: bool = False) -> bytes:
    return encode("ModelActivated", model_activated(text, n, notify=notify))


@dataclass
class History:
    """One partition of one: every record goes through `PartitionFold.fold`, in the order told."""

    model: str
    log: list[Logged] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.fold = PartitionFold("events", 0, 1)
        self.start = start_of_tests_ms(read_model_record(pack_model(self.model)))
        self._numbers = itertools.count()
        self.record(0, CONTROL_KEY, encode("Epoch", {"epoch": 1}))
        self.activate(0, self.model)

    def at(self, day: float) -> int:
        return self.start + round(day * DAY_MS)

    def record(self, day: float, key: bytes | None, value: bytes | None) -> None:
        record = Logged(len(self.log), self.at(day), key, value)
        self.log.append(record)
        self.sent += self.fold.fold([record])

    def activate(self, day: float, text: str, n: int = 1, *, notify: bool = False) -> None:
        self.record(day, CONTROL_KEY, model_record(text, n, notify=notify))

    def act(self, day: float, *, key: bytes = LEAD, logged: float | None = None, **event: Any) -> None:
        """An act at `day` (its record at `logged`, by default the same), given by the fields of a condition."""
        fields: dict[str, Any] = {"event": event.pop("event", "page_view")} | event.pop("fields", {}) | event
        tracked = self.event(day, fields)
        self.record(day if logged is None else logged, key, encode("TrackedEvent", tracked))

    def event(self, day: float, fields: Mapping[str, Any]) -> TrackedEvent:
        tracked = event_from_fields(fields, self.at(day))
        tracked["event_id"] = f"e{next(self._numbers)}"
        return tracked

    def known(self, day: float = 0, *, kind: str = "business", **traits: str) -> None:
        """The act by which the lead became known: an e-mail of that kind, and what else was said."""
        fields = {"event": "identify"} | {f"traits.{name}": value for name, value in traits.items()}
        tracked = self.event(day, fields)
        tracked["email_kind"] = kind
        self.record(day, LEAD, encode("TrackedEvent", tracked))

    def feedback(self, day: float, word: str, version: int, *, silent: bool = False) -> None:
        value = {
            "word": word,
            "system": "crm",
            "object": "o1",
            "version": version,
            "silent": silent,
            "user": None,
            "reason": None,
        }
        self.record(day, LEAD, encode("Feedback", value))

    def tick(self, day: float) -> None:
        self.record(day, CONTROL_KEY, encode("Tick", {}))

    def price(self, day: float, key: bytes = LEAD) -> Price:
        opened, active = self.fold.rows.read(key), self.fold.models.newest
        assert opened is not None
        assert active is not None
        return Price(opened.row, active, self.at(day))

    @property
    def stage(self) -> str:
        opened = self.fold.rows.read(LEAD)
        return opened.row.stage if opened is not None else "gone"

    @property
    def letters(self) -> list[dict[str, Any]]:
        return [decode(s.value)[1] for s in self.sent if s.kind == "DeadLetter" and s.value]

    @property
    def transitions(self) -> list[StageTransition]:
        return [decode(s.value)[1] for s in self.sent if s.kind == "StageTransition" and s.value]  # type: ignore[misc]  # decode gives a plain dict

    @property
    def moves(self) -> list[tuple[str, str, str, float]]:
        """(from, to, cause, day) of every transition."""
        return [(t["from_stage"], t["to_stage"], t["cause"], (t["at"] - self.start) / DAY_MS) for t in self.transitions]
