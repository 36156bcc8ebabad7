"""What becomes of one item of a request or a line of a file. Outcomes are data: nothing is dropped by an exception."""

from dataclasses import dataclass
from typing import Literal

from schemas.records import TrackedEvent

Reason = Literal["empty", "bad_encoding", "bad_json", "bad_event", "too_deep", "too_large", "too_many", "no_lead_key"]


@dataclass(frozen=True, slots=True)
class Arrival:
    """What the receiver knows by itself about how an item arrived.

    `received_at` is ms UTC; None: a played file that does not say. `user_agent` is the visitor's, if the sender is one.
    """

    received_at: int | None
    sent_at: object = None
    user_agent: str | None = None
    ip: str | None = None
    write_key_name: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """`cut` counts the values that were shortened or left out because they were too long or too many."""

    event: TrackedEvent
    key: bytes
    cut: int = 0


@dataclass(frozen=True, slots=True)
class Rejected:
    """An item that can never pass. `original` is the item as it came: a whole body byte for byte, one item of a larger
    body as the same JSON.
    """

    reason: Reason
    detail: str
    original: bytes


Outcome = Accepted | Rejected


class ItemError(ValueError):
    """Inside one mapping: this item can never pass. Never leaves `sources`."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason: Reason = reason
        self.detail = detail
