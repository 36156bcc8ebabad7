import contextlib
import gzip
import json
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.http.body import read_body, unpacked
from sources.outcomes import ItemError

LIMIT = 1_000_000
VALUE = {"a": [1, "ü"]}
PLAIN = json.dumps(VALUE).encode()


@pytest.mark.parametrize(
    "body",
    [
        PLAIN,
        b"\n " + PLAIN,
        b"\xef\xbb\xbf" + PLAIN,
        PLAIN.decode().encode("utf-16"),
        gzip.compress(PLAIN, mtime=0),
        zlib.compress(PLAIN),
    ],
)
def test_a_body_is_known_by_its_first_bytes(body: bytes) -> None:
    assert read_body(body, LIMIT) == VALUE


@pytest.mark.parametrize(
    ("body", "reason", "detail"),
    [
        (b"", "empty", "no body"),
        (b" \r\n", "empty", "no body"),
        (b'{"a": ', "bad_json", "line 1 column 7 (char 6)"),
        (b"event=page&user=1", "bad_json", "char 0"),
        (b'{"a": "\xff"}', "bad_json", "not UTF-8 at byte 7"),
        (b"\xc3\x01\x00\x00", "bad_json", "not UTF-8"),
        (gzip.compress(PLAIN, mtime=0)[:-4], "bad_encoding", "ends too early"),
        (gzip.compress(PLAIN, mtime=0) + b"more", "bad_encoding", "other bytes follow"),
        (b"\x1f\x8bnonsense", "bad_encoding", "broken gzip"),
        (b"[" * 100_000, "too_deep", "too deep"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "too_deep", "too deep"),
        (gzip.compress(b"[" * 500_000, mtime=0), "too_deep", "too deep"),
        (b"9" * 5_000, "bad_json", "digits"),
    ],
)
def test_a_body_that_is_no_json_says_why(body: bytes, reason: str, detail: str) -> None:
    with pytest.raises(ItemError) as caught:
        read_body(body, LIMIT)
    assert caught.value.reason == reason
    assert detail in caught.value.detail


def test_a_gzip_bomb_is_given_up_at_the_bound() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    assert len(bomb) < 60_000
    tracemalloc.start()
    try:
        with pytest.raises(ItemError, match="more than 1,000,000 bytes"):
            unpacked(bomb, LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


@given(st.binary(max_size=3_000), st.integers(0, 4_000))
def test_never_more_is_unpacked_than_allowed(data: bytes, limit: int) -> None:
    packed = gzip.compress(data)
    if len(data) <= limit:
        assert unpacked(packed, limit) == data
        return
    with pytest.raises(ItemError) as caught:
        unpacked(packed, limit)
    assert caught.value.reason == "too_large"


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    for candidate in (body, b"\x1f\x8b" + body, b"\x78\x9c" + body, b'{"a":' + body):
        with contextlib.suppress(ItemError):
            read_body(candidate, LIMIT)
