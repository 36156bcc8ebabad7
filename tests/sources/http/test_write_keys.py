import base64

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


def test_a_key_is_never_shown() -> None:
    assert "srv_2" not in repr(KEYS)


@given(st.text())
def test_no_header_breaks_it(text: str) -> None:
    for scheme in ("", "Basic ", "Bearer "):
        assert find_key(key_in_authorization(scheme + text), KEYS) in (None, *KEYS)
