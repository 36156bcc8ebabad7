"""A web server's access log in the Combined Log Format -> what its visitors did.

https://httpd.apache.org/docs/2.4/logs.html#combined . A visitor is the hash of client address and user agent; an act is
a GET that was answered with a page or a file.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Final
from urllib.parse import unquote

from schemas.records import TrackedEvent
from sources.completion import Completion
from sources.outcomes import Arrival
from sources.played import PlayedLine, PlayedRecord, Problem, played

DOWNLOADS: Final = frozenset(
    [
        "7z",
        "apk",
        "bz2",
        "csv",
        "deb",
        "dmg",
        "doc",
        "docx",
        "epub",
        "exe",
        "gem",
        "gz",
        "iso",
        "jar",
        "key",
        "mobi",
        "msi",
        "odp",
        "ods",
        "odt",
        "pcap",
        "pdf",
        "pkg",
        "ppt",
        "pptx",
        "rar",
        "rpm",
        "rtf",
        "tar",
        "tbz",
        "tgz",
        "war",
        "whl",
        "xls",
        "xlsx",
        "xz",
        "zip",
    ]
)
# Parts of a page, and what programs ask for: no act of a person.
ASSETS: Final = frozenset(
    [
        "atom",
        "avif",
        "bmp",
        "css",
        "eot",
        "gif",
        "ico",
        "jpeg",
        "jpg",
        "js",
        "json",
        "map",
        "mjs",
        "mp3",
        "mp4",
        "ogg",
        "otf",
        "png",
        "rdf",
        "rss",
        "svg",
        "swf",
        "ttf",
        "txt",
        "wasm",
        "wav",
        "webm",
        "webmanifest",
        "webp",
        "woff",
        "woff2",
        "xml",
        "xsl",
    ]
)
_LINE: Final = re.compile(
    rb'(?P<address>\S+) \S+ .+? \[(?P<time>[^\]]{26})\] "(?P<request>(?:[^"\\]|\\.)*)" (?P<status>\d{3}) \S+'
    rb'(?: "(?P<referrer>(?:[^"\\]|\\.)*)" "(?P<agent>(?:[^"\\]|\\.)*)")?'
)
_SUFFIX: Final = re.compile(r"\.([A-Za-z0-9]{1,11})$")
_ANSWERED: Final = re.compile(rb"2\d\d|304")
_MONTHS: Final = {
    name: number for number, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)
}


def looks_like_access_log(line: bytes) -> bool:
    return _LINE.match(line) is not None


def read_access_log(lines: Iterable[tuple[int, bytes | Problem]], completion: Completion) -> Iterator[PlayedLine]:
    """A record for each act and a problem for each line of another form; lines that are no act yield nothing."""
    for number, line in lines:
        result = line if isinstance(line, Problem) else _read_line(line, completion)
        if result is not None:
            yield number, result


def _read_line(line: bytes, completion: Completion) -> PlayedRecord | Problem | None:
    found = _LINE.match(line)
    if found is None:
        return Problem("bad_event", 'not in the Combined Log Format: address - user [time] "request" status bytes ...')
    method, _, rest = found["request"].partition(b" ")
    if method != b"GET" or not _ANSWERED.fullmatch(found["status"]):
        return None
    url = rest.rpartition(b" ")[0].decode("utf-8", "replace") or "/"
    path = unquote(url.partition("?")[0])
    suffix = _SUFFIX.search(path)
    kind = suffix[1].lower() if suffix else ""
    if kind in ASSETS:
        return None
    time_ms = _time_ms(found["time"])
    if time_ms is None:
        return Problem("bad_event", f"not a time of a log: {found['time'].decode('ascii', 'replace')}")
    address, agent = found["address"], found["agent"] or b"-"
    event: TrackedEvent = {
        "event_id": blake2b(line, digest_size=16).hexdigest(),
        "type": "download" if kind in DOWNLOADS else "page_view",
        "occurred_at": time_ms,
        "flags": {"bot": False, "late": False, "clamped": False},
        "url": url,
        "asset": path.rpartition("/")[2] if kind in DOWNLOADS else None,
        "referrer": _text(found["referrer"]),
        "anonymous_id": blake2b(address + b"\0" + agent, digest_size=8).hexdigest(),
    }
    arrival = Arrival(received_at=time_ms, user_agent=_text(agent), ip=address.decode("ascii", "replace"))
    completion.complete(event, arrival, time_ms, {})
    return played(completion.accept(event, 0))


def _text(quoted: bytes | None) -> str | None:
    """What a quoted field says; `-` stands for nothing."""
    if quoted is None or quoted in (b"-", b""):
        return None
    return quoted.replace(b'\\"', b'"').replace(b"\\\\", b"\\").decode("utf-8", "replace")


def _time_ms(text: bytes) -> int | None:
    """`17/May/2015:10:05:03 +0000` as ms UTC; read here because `strptime` follows the machine's language."""
    midnight_ms, offset_ms = _midnight_ms(text[:11]), _offset_ms(text[21:])
    clock = text[12:20].split(b":")
    if midnight_ms is None or offset_ms is None or len(clock) != 3 or not all(part.isdigit() for part in clock):
        return None
    hour, minute, second = map(int, clock)
    return midnight_ms + ((hour * 60 + minute) * 60 + second) * 1000 - offset_ms


@lru_cache(maxsize=64)
def _midnight_ms(day: bytes) -> int | None:
    parts = day.split(b"/")
    if len(parts) != 3 or parts[1] not in _MONTHS:
        return None
    try:
        return int(datetime(int(parts[2]), _MONTHS[parts[1]], int(parts[0]), tzinfo=UTC).timestamp()) * 1000
    except ValueError:
        return None


@lru_cache(maxsize=64)
def _offset_ms(text: bytes) -> int | None:
    if len(text) != 5 or text[:1] not in (b"+", b"-") or not text[1:].isdigit():
        return None
    minutes = int(text[1:3]) * 60 + int(text[3:])
    return minutes * 60_000 * (-1 if text[:1] == b"-" else 1)
