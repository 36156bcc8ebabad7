"""Keys and partitions are Kafka's."""

import pytest
from aiokafka.partitioner import murmur2 as judge
from hypothesis import given
from hypothesis import strategies as st

from schemas.keys import is_lead_key, lead_key, murmur2, partition_of, usable_id


@given(st.binary(max_size=40))
def test_murmur2_equals_the_clients(data: bytes) -> None:
    assert murmur2(data) == judge(data) & 0xFFFFFFFF
    assert partition_of(data, 7) == (judge(data) & 0x7FFFFFFF) % 7


@pytest.mark.parametrize(
    ("ids", "key"),
    [
        (("anon-1", "user-1", "a@b.example"), b"1anon-1"),
        (("null", "user-1", None), b"3user-1"),
        ((None, None, "Ada@Acme.example "), b"98bd0d7a4b8e1b5a8"),
        (("anonymous", "0000-0000", None), None),
        ((None, "-1", "no address"), None),
    ],
)
def test_the_first_usable_id_makes_the_key(ids: tuple[str | None, str | None, str | None], key: bytes | None) -> None:
    found = lead_key(*ids, secret=b"secret")
    if key is not None and key[:1] == b"9":
        assert found == lead_key(None, None, "ada@acme.example", b"secret")
        assert found != lead_key(None, None, "ada@acme.example", b"other secret")
        assert b"ada" not in (found or b"")
    else:
        assert found == key
    assert is_lead_key(found) is (key is not None)


@pytest.mark.parametrize("text", [None, "", " ", "null", "NULL", "-1", "0", "00-00", "undefined", "x" * 257])
def test_ids_that_many_share_are_not_usable(text: str | None) -> None:
    assert not usable_id(text)
