"""What leaves the fold of a partition, and what became of each record."""

from collections import Counter
from typing import NamedTuple

from processors.dead_letters import Refused, dead_letter
from processors.moves import Cause
from schemas.codec import Kind, UndecodableError, encode
from schemas.keys import CONTROL_KEY
from schemas.records import LogRecord


class Sent(NamedTuple):
    """A record that leaves the fold, for the topic of its kind. `value` None: the lead is forgotten."""

    kind: Kind
    key: bytes
    value: bytes | None


class Outbox:
    """Gathers what the fold sends.

    Args:
        topic: name of the events topic, for dead letters.
    """

    def __init__(self, topic: str, partition: int) -> None:
        self._topic = topic
        self._partition = partition
        self.outcomes: Counter[str] = Counter()
        self.sent: list[Sent] = []

    def refuse(self, record: LogRecord, refused: Refused | UndecodableError) -> None:
        """The record comes to nothing, and is kept whole."""
        letter = dead_letter(
            record, self._topic, self._partition, step="worker", reason=refused.reason, detail=refused.detail
        )
        self.sent.append(Sent("DeadLetter", letter["key"] or CONTROL_KEY, encode("DeadLetter", letter)))
        self.outcomes[refused.reason] += 1

    def take(self) -> list[Sent]:
        """All that was gathered since the last call."""
        sent, self.sent = self.sent, []
        return sent


def told(cause: Cause) -> list[Sent]:
    """The transitions of a row by one record."""
    return [Sent("StageTransition", cause.key, encode("StageTransition", each)) for each in cause.transitions]
