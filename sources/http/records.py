"""Outcomes -> records for the log."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from schemas.codec import encode
from schemas.records import DeadLetter
from sources.base import OutgoingRecord
from sources.config import CollectorSettings
from sources.outcomes import Accepted, Outcome, Rejected

MAX_KEPT_BYTES: Final = 1_000_000  # a Kafka record holds 1 MiB; only odd numbers make a kept item longer than its body
Headers = tuple[tuple[str, bytes], ...]


def records_of(
    outcomes: Sequence[Outcome], settings: CollectorSettings, context: dict[str, str], seen_at: int, headers: Headers
) -> list[OutgoingRecord]:
    """An event or a dead letter for each outcome, in order."""
    return [
        OutgoingRecord(settings.events_topic, outcome.key, encode("TrackedEvent", outcome.event), headers)
        if isinstance(outcome, Accepted)
        else dead_letter(outcome, settings, context, seen_at)
        for outcome in outcomes
    ]


def dead_letter(
    rejected: Rejected, settings: CollectorSettings, context: dict[str, str], seen_at: int
) -> OutgoingRecord:
    """The same bytes refused for the same reason have the same id: a client that repeats them adds no new problem."""
    original = rejected.original
    if len(original) > MAX_KEPT_BYTES:
        context = {**context, "cut": f"kept {MAX_KEPT_BYTES} of {len(original)} bytes"}
    letter: DeadLetter = {
        "id": blake2b(rejected.reason.encode() + b"\0" + original, digest_size=16).hexdigest(),
        "reason": rejected.reason,
        "detail": rejected.detail,
        "step": "collector",
        "seen_at": seen_at,
        "topic": None,
        "partition": None,
        "offset": None,
        "key": None,
        "value": original[:MAX_KEPT_BYTES],
        "context": context,
    }
    return OutgoingRecord(settings.dead_letters_topic, letter["id"].encode(), encode("DeadLetter", letter))
