"""A file played as if it were the log: its lines, in their order, as records with a time."""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Literal, cast

from schemas.records import Feedback, TrackedEvent
from sources.outcomes import Outcome, Reason, Rejected

MAX_LINE_BYTES: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class PlayedRecord:
    """`timestamp_ms` is the time of the record: its `received_at`, else its `occurred_at`."""

    key: bytes
    kind: Literal["TrackedEvent", "Feedback"]
    record: TrackedEvent | Feedback
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class Problem:
    """A line that cannot be used; the others are."""

    reason: Reason
    detail: str


PlayedLine = tuple[int, PlayedRecord | Problem]


def played(outcome: Outcome) -> PlayedRecord | Problem:
    if isinstance(outcome, Rejected):
        return Problem(outcome.reason, outcome.detail)
    event = outcome.event
    return PlayedRecord(outcome.key, "TrackedEvent", event, event.get("received_at") or event["occurred_at"] or 0)


def read_lines(path: Path) -> Iterator[tuple[int, bytes | Problem]]:
    """The lines of a file, gzip or not, counted from 1, without their ends and without blank ones.

    A damaged gzip file yields what can be read and then a problem.

    Raises:
        OSError: the file cannot be opened.
    """
    with (
        path.open("rb") as file,  # once: what is read of a pipe is gone
        cast("IO[bytes]", gzip.open(file)) if file.peek(2)[:2] == b"\x1f\x8b" else file as stream,
    ):
        number = 0
        try:
            for number, line in _numbered(stream):  # read after the loop
                if len(line) > MAX_LINE_BYTES:
                    yield number, Problem("too_large", f"the line has more than {MAX_LINE_BYTES:,} bytes")
                elif line.strip():
                    yield number, line.rstrip(b"\r\n")
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            yield number + 1, Problem("bad_encoding", f"broken gzip: {error}")


def _numbered(stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Lines of bounded length: of a longer one, enough to know that it is too long."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 2):
        number += 1
        rest = line
        while len(rest) == MAX_LINE_BYTES + 2 and not rest.endswith(b"\n"):
            rest = stream.readline(MAX_LINE_BYTES + 2)
        yield number, line
