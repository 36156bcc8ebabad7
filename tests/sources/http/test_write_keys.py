import base64
from hmac import compare_digest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.config import WriteKey
from sources.http.write_keys import find_key, key_in_authorization

KEYS = (WriteKey("website", "web_1"), WriteKey("server", "srv_2"))


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("header", "key"),
    [
        (basic("web_1:"), "web_1"),
        (basic("web_1"), "web_1"),
        (basic("web_1:password"), "web_1"),
        (basic("web_1:").replace("Basic", "basic"), "web_1"),
        ("Bearer web_1", "web_1"),
        (basic(":"), None),
        ("Basic !!!", None),
        ("Basic /w==", None),
        ("Digest x", None),
        ("", None),
        (None, None),
    ],
)
def test_the_key_is_the_user_of_basic_authorization(header: str | None, key: str | None) -> None:
    assert key_in_authorization(header) == key


def test_a_key_is_found_by_its_exact_text() -> None:
    assert find_key("srv_2", KEYS) is KEYS[1]
    assert find_key("srv_2 ", KEYS) is None
    assert find_key("", KEYS) is None
    assert find_key(None, KEYS) is None


@pytest.mark.parametrize("said", ["web_1", "srv_2", "srv_3", "x", "\ud800"])
def test_every_key_is_compared_in_constant_time_whichever_fits(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    compared: list[bytes] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(other)
        return compare_digest(one, other)

    monkeypatch.setattr("sources.http.write_keys.hmac.compare_digest", compare)
    find_key(said, KEYS)
    assert compared == [key.key.encode() for key in KEYS]


def test_a_key_is_never_shown() -> None:
    assert "srv_2" not in repr(KEYS)


@given(st.text())
def test_no_header_breaks_it(text: str) -> None:
    for scheme in ("", "Basic ", "Bearer "):
        assert find_key(key_in_authorization(scheme + text), KEYS) in (None, *KEYS)
