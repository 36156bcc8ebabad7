"""The body of a request -> a JSON value. Sniffed: no header is believed about it.

Real clients send JSON as text/plain, gzip without saying so, and gzip called form-urlencoded.
"""

import json
import zlib
from typing import Any

from sources.outcomes import ItemError


def read_body(body: bytes, max_unpacked_bytes: int) -> Any:
    """The JSON value. NaN and Infinity come out as floats: the item that holds them is refused, not its neighbours.

    Raises:
        ItemError: `empty`, `bad_encoding`, `too_large`, `bad_json` or `too_deep`, with the place.
    """
    if not body.strip():
        raise ItemError("empty", "the request has no body")
    plain = unpacked(body, max_unpacked_bytes) if is_packed(body) else body
    try:
        return json.loads(plain)
    except UnicodeDecodeError as error:
        raise ItemError("bad_json", f"not UTF-8 at byte {error.start}") from error
    except RecursionError as error:
        raise ItemError("too_deep", "nested too deep to be read") from error
    except ValueError as error:
        raise ItemError("bad_json", f"not JSON: {error}") from error


def is_packed(body: bytes) -> bool:
    """Is it gzip (RFC 1952) or zlib (RFC 1950)? JSON begins with neither."""
    return body[:2] == b"\x1f\x8b" or (body[:1] == b"\x78" and int.from_bytes(body[:2], "big") % 31 == 0)


def unpacked(body: bytes, max_bytes: int) -> bytes:
    """What gzip or zlib bytes hold; never more than `max_bytes` are made.

    Raises:
        ItemError: `too_large`, or `bad_encoding` for a stream that is broken or has bytes after its end.
    """
    unpacker = zlib.decompressobj(wbits=47)  # 32 + 15: find out whether gzip or zlib
    try:
        plain = unpacker.decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise ItemError("bad_encoding", f"broken gzip: {error}") from error
    if len(plain) > max_bytes:
        raise ItemError("too_large", f"the body unpacks to more than {max_bytes:,} bytes")
    if not unpacker.eof or unpacker.unused_data:
        raise ItemError("bad_encoding", "broken gzip: it ends too early, or other bytes follow")
    return plain
