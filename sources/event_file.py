"""Files for `leadstream score`: an access log, or JSON lines of Segment calls, our own events and feedback."""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from schemas.event_names import BUILT_IN_NAMES
from schemas.keys import lead_key
from schemas.records import Feedback
from sources.access_log import read_access_log
from sources.completion import Completion
from sources.outcomes import Arrival, ItemError
from sources.own_events import read_own_event
from sources.people import email_domain
from sources.played import PlayedLine, PlayedRecord, Problem, played, read_lines
from sources.segment import CALLS, read_call
from sources.times import parse_time_ms
from sources.values import check_item, first_text, item_bytes

# Names that only our own events have; Segment writes `messageId`, `anonymousId`, `receivedAt`.
_OWN_NAMES = frozenset({"event_id", "occurred_at", "received_at", "anonymous_id", "user_id"})
_OWN_TYPES = BUILT_IN_NAMES - {*CALLS}


def read_event_file(
    path: Path, completion: Completion, on_line: Callable[[int], None] = lambda _: None
) -> Iterator[PlayedLine]:
    """The records of a file, gzip or not, with their line numbers; its first line that can be read tells the format.

    `on_line` is told the number of each line that is not blank, also of those that give no record.

    Raises:
        OSError: the file cannot be opened.
    """
    lines = read_lines(path)
    first = list(itertools.islice(lines, 1))
    everything = _told(itertools.chain(first, lines), on_line)
    is_log = (
        bool(first) and isinstance(first[0][1], bytes) and not first[0][1].lstrip(b"\xef\xbb\xbf ").startswith(b"{")
    )
    return read_access_log(everything, completion) if is_log else read_json_lines(everything, completion)


def _told(
    lines: Iterable[tuple[int, bytes | Problem]], on_line: Callable[[int], None]
) -> Iterator[tuple[int, bytes | Problem]]:
    for number, line in lines:
        on_line(number)
        yield number, line


def read_json_lines(lines: Iterable[tuple[int, bytes | Problem]], completion: Completion) -> Iterator[PlayedLine]:
    """A record or a problem for each line; of a Segment batch for each of its calls."""
    for number, line in lines:
        if isinstance(line, Problem):
            yield number, line
            continue
        for result in _read_line(line, number, completion):
            yield number, result


def _read_line(line: bytes, number: int, completion: Completion) -> Iterator[PlayedRecord | Problem]:
    try:
        value = json.loads(line.removeprefix(b"\xef\xbb\xbf"))
        items = value["batch"] if isinstance(value, dict) and isinstance(value.get("batch"), list) else [value]
        for item in items:
            yield _read_item(item, number, completion)
    except ItemError as error:
        yield Problem(error.reason, error.detail)
    except RecursionError:
        yield Problem("too_deep", "nested too deep to be read")
    except ValueError as error:
        yield Problem("bad_json", f"not JSON: {error}")


def _read_item(item: Any, number: int, completion: Completion) -> PlayedRecord | Problem:
    if isinstance(item, dict) and "feedback" in item and "type" not in item:
        return _read_feedback(check_item(item, item_bytes(item)), number, completion)
    if isinstance(item, dict) and is_own_event(item):
        arrival = Arrival(received_at=parse_time_ms(item.get("received_at")) or None)
        return played(read_own_event(item, arrival, completion))
    received_at = parse_time_ms(item.get("receivedAt")) if isinstance(item, dict) else None
    return played(read_call(item, Arrival(received_at=received_at), completion))


def is_own_event(item: dict[str, Any]) -> bool:
    """By a name that only our own events have, or by a `type` that is no call of Segment's: `page_view`."""
    kind = item.get("type")
    return bool(_OWN_NAMES & item.keys()) or (isinstance(kind, str) and ("_" in kind or kind in _OWN_TYPES))


def _read_feedback(item: dict[str, Any], number: int, completion: Completion) -> PlayedRecord | Problem:
    """`{"feedback": word, "user_id": ..., "received_at": ..., "object": ..., "version": n}`."""
    word, at = first_text(item["feedback"]), parse_time_ms(item.get("received_at"))
    email = item.get("email")
    key = lead_key(
        first_text(item.get("anonymous_id"), limit=512),
        first_text(item.get("user_id"), limit=512),
        email if email_domain(email) else None,
        completion.secret,
    )
    if word is None or at is None:
        raise ItemError("bad_event", "a feedback line needs a word in `feedback` and a time in `received_at`")
    if key is None:
        raise ItemError("no_lead_key", "a feedback line needs one of anonymous_id, user_id and email")
    version = item.get("version", number)
    if isinstance(version, bool) or not isinstance(version, int) or not 0 <= version < 2**63:
        raise ItemError("bad_event", f"version: {version!r:.40} is no whole number from 0")
    feedback: Feedback = {
        "word": word,
        "system": first_text(item.get("system")) or "file",
        "object": first_text(item.get("object")) or key.decode(),
        "version": version,
        "silent": item.get("silent") is True,
        "user": first_text(item.get("user")),
        "reason": first_text(item.get("reason")),
    }
    return PlayedRecord(key, "Feedback", feedback, at)
