"""Records that could not be used: kept whole, with the reason."""

from typing import Literal

from schemas.codec import encode
from schemas.records import LogRecord

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


class Refused(Exception):  # noqa: N818 - an outcome of a record, not a failure of the worker
    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def dead_letter(record: LogRecord, topic: str, partition: int, reason: str, detail: str) -> bytes:
    """The encoded dead letter; its id is where the record stands, so a repeat is the same letter."""
    return encode(
        "DeadLetter",
        {
            "id": f"{topic}/{partition}/{record.offset}",
            "reason": reason,
            "detail": detail[:2000],
            "step": "worker",
            "seen_at": record.timestamp,
            "topic": topic,
            "partition": partition,
            "offset": record.offset,
            "key": record.key,
            "value": record.value,
            "context": {},
        },
    )
