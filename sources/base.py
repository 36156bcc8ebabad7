"""What a source needs of the outside: somewhere to put records, for good."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class OutgoingRecord(NamedTuple):
    """A record for the log; `key` decides the partition."""

    topic: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class BrokerUnavailableError(Exception):
    """Not every record was acknowledged in time; some may be in the log. Sending all of them again is right: the fold
    counts an event id once.
    """


class RecordRefusedError(BrokerUnavailableError):
    """The brokers are there, and will not take a record until somebody has mended a topic: to wait does not help."""


class EventProducer(Protocol):
    async def send(self, records: Sequence[OutgoingRecord]) -> None:
        """Return when the brokers hold every record (acks=all).

        Raises:
            BrokerUnavailableError: at least one was not acknowledged within the producer's deadline.
        """

    def ready(self) -> bool:
        """Would a `send` have a broker to talk to? For readiness only; `send` may be called at any time."""
