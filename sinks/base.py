"""What a sink is, and the only errors it may raise.

    SinkError
    ├── RetryLater      the destination cannot take it now: nothing is lost, the same records come again
    ├── Undeliverable   one record can never be taken: it becomes a dead letter, the others go on
    └── StartOver       the destination lost what it was told: the topics are read again from their beginning

Any other exception is a bug and stops the process of the sink before anything is committed. A sink neither retries,
counts nor writes dead letters; `streams/delivery/delivery.py` alone does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Input = Literal["transitions", "scores"]
RecordKind = Literal["StageTransition", "LeadSnapshot", "ModelActivated"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One decoded record of a topic. `kind` and `record` are None for a null value: the key was forgotten."""

    topic: str
    partition: int
    offset: int
    key: bytes
    kind: RecordKind | None
    record: Mapping[str, Any] | None
    timestamp_ms: int


class SinkError(Exception):
    """`done` counts the leading deliveries of the batch that took effect; they are not delivered again."""

    done: int = 0


class RetryLater(SinkError):  # noqa: N818 - named for what delivery has to do
    """The destination cannot take the delivery after the first `done` ones now.

    `after_seconds` is what the destination asked for; None: delivery's own growing wait.
    """

    def __init__(self, reason: str, after_seconds: float | None = None, done: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after_seconds = after_seconds
        self.done = done


class Undeliverable(SinkError):  # noqa: N818 - named for what the record is
    """The delivery after the first `done` ones can never be taken. `reason` says why, for people."""

    def __init__(self, reason: str, done: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.done = done


class StartOver(SinkError):  # noqa: N818 - named for what delivery has to do
    """The destination has lost what it was told: it came back empty, or from an older state. Nothing of the batch took effect.

    `everything`: it holds nothing at all, so every partition is read again, not only those of the batch.
    """

    def __init__(self, reason: str, *, everything: bool = False) -> None:
        super().__init__(reason)
        self.everything = everything


class Sink(Protocol):
    """An edge out. `deliver` is never called twice at once; offsets of a partition come in order, and may come again."""

    @property
    def inputs(self) -> frozenset[Input]:
        """The topics it reads."""

    async def open(self) -> None:
        """Once, before the first delivery. The destination need not be there yet."""

    async def deliver(self, batch: Sequence[Delivery]) -> None:
        """Return when every effect is confirmed. The same batch again must change nothing more, and an older record
        must never overwrite a newer one.

        Raises:
            RetryLater, Undeliverable, StartOver: see above.
        """

    async def healthy(self) -> str | None:
        """None, or what is wrong, in one line without secrets."""

    async def close(self) -> None:
        """Once, after the last delivery, also if `open` failed."""
