"""What was read -> records for the log."""

from hashlib import blake2b
from typing import Final

from schemas.codec import encode
from schemas.letter_context import CUT, HEADER, MAX_HEADER_CHARACTERS
from schemas.records import DeadLetter
from sources.base import OutgoingRecord
from sources.client_address import truncated_ip
from sources.config import CollectorSettings
from sources.http.requests import CollectorRequest, Read, Refused
from sources.outcomes import Accepted, Rejected

MAX_KEPT_BYTES: Final = 1_000_000  # a Kafka record holds 1 MiB; only odd numbers make a kept item longer than its body
SENT_AT: Final = "sent_at_ms"  # header of a record: the client's real time of sending, ms UTC


def records_of(read: Read | Refused, request: CollectorRequest, settings: CollectorSettings) -> list[OutgoingRecord]:
    """An event or a dead letter for each item, in order; for a refused request the dead letter of its body, if kept."""
    context = _context(request, read.write_key_name)
    if isinstance(read, Refused):
        return [] if read.kept is None else [_dead_letter(read.kept, settings, context, request.received_at)]
    said = request.sent_at or ""
    headers = ((SENT_AT, said.encode()),) if said.isascii() and said.isdigit() and len(said) <= 16 else ()
    return [
        OutgoingRecord(settings.events_topic, outcome.key, encode("TrackedEvent", outcome.event), headers)
        if isinstance(outcome, Accepted)
        else _dead_letter(outcome, settings, context, request.received_at)
        for outcome in read.outcomes
    ]


def _context(request: CollectorRequest, write_key_name: str | None) -> dict[str, str]:
    """What reading the item again needs beside its bytes: route, name of the write key, address and headers."""
    said = {"path": request.path, "write_key": write_key_name, "ip": truncated_ip(request.ip)}
    headers = {HEADER + name: _unicode(value[:MAX_HEADER_CHARACTERS]) for name, value in request.kept_headers.items()}
    return {name: value for name, value in said.items() if value} | headers


def _unicode(text: str) -> str:
    """A header may hold any bytes; those that are no text come as lone surrogates, which no record can hold."""
    return text.encode("utf-8", "backslashreplace").decode()


def _dead_letter(
    rejected: Rejected, settings: CollectorSettings, context: dict[str, str], seen_at: int
) -> OutgoingRecord:
    """The same bytes refused for the same reason have the same id: a client that repeats them adds no new problem."""
    original = rejected.original
    if len(original) > MAX_KEPT_BYTES:
        context = {**context, CUT: f"kept {MAX_KEPT_BYTES} of {len(original)} bytes"}
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
