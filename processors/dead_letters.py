"""Records that could not be used: kept whole, with the reason."""

from collections.abc import Iterable
from typing import Final, Literal

from schemas.letter_context import HEADER, KEY_BYTES, MAX_HEADER_CHARACTERS, VALUE_BYTES
from schemas.records import DeadLetter, LogRecord

Reason = Literal[
    "empty",  # no value
    "bad_json",
    "bad_event",  # JSON that is no event
    "bad_avro",
    "unknown_schema",
    "bad_key",  # no key, or none of a lead
    "wrong_partition",  # the key lives in another one
    "wrong_topic",  # a record of ours that has no place on this topic
    "bad_model",
    "fold_error",  # a bug: the row was left as it was
]

# With its envelope a letter stays below a broker's usual 1 MiB, whatever the record is: one that could not be written
# would stop its part for ever.
MAX_VALUE_BYTES: Final = 900_000
MAX_KEY_BYTES: Final = 10_000  # it stands in the letter twice
MAX_HEADERS_CHARACTERS: Final = 10_000  # of all of them
MAX_DETAIL_CHARACTERS: Final = 2_000


class Refused(Exception):  # noqa: N818 - an outcome of a record, not a failure of the worker
    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def dead_letter(record: LogRecord, topic: str, partition: int, *, step: str, reason: str, detail: str) -> DeadLetter:
    """Its id is where the record stands, so a repeat is the same letter.

    Key and value are kept byte for byte. What is too large for a second record is cut; the context says so, and the
    original stays in its place.
    """
    key, value = record.key, record.value
    context = headers_for_people(record.headers)
    if value is not None and len(value) > MAX_VALUE_BYTES:
        context[VALUE_BYTES] = str(len(value))
        value = value[:MAX_VALUE_BYTES]
    if key is not None and len(key) > MAX_KEY_BYTES:
        context[KEY_BYTES] = str(len(key))
        key = key[:MAX_KEY_BYTES]
    return {
        "id": f"{topic}/{partition}/{record.offset}",
        "reason": reason,
        "detail": detail[:MAX_DETAIL_CHARACTERS],
        "step": step,
        "seen_at": record.timestamp,
        "topic": topic,
        "partition": partition,
        "offset": record.offset,
        "key": key,
        "value": value,
        "context": context,
    }


def headers_for_people(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, str]:
    """The headers of a record as texts; bytes that are none as escapes. A name that comes again is numbered."""
    shown: dict[str, str] = {}
    room = MAX_HEADERS_CHARACTERS
    for said_name, said in headers:
        text = (said or b"")[: 4 * MAX_HEADER_CHARACTERS].decode("utf-8", "backslashreplace")[:MAX_HEADER_CHARACTERS]
        name, number = HEADER + said_name[:MAX_HEADER_CHARACTERS], 2
        while name in shown:
            name, number = f"{HEADER}{said_name[:MAX_HEADER_CHARACTERS]}.{number}", number + 1
        room -= len(name) + len(text)
        if room < 0:
            shown["headers"] = "too many; not all of them are kept"
            break
        shown[name] = text
    return shown
