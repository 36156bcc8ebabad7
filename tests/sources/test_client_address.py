from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.client_address import client_ip, truncated_ip

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("203.0.113.7", "203.0.113.0"),
        ("2001:db8:1:2:3::4", "2001:db8:1::"),
        ("::ffff:203.0.113.7", "203.0.113.0"),
        ("fe80::1%eth0", "fe80::"),
        ("nobody", None),
        ("", None),
        (None, None),
    ],
)
def test_the_last_part_of_an_address_is_not_kept(address: object, kept: str | None) -> None:
    assert truncated_ip(address) == kept


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "expected"),
    [
        ("203.0.113.7", None, "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),  # not a proxy of ours: what it says is not believed
        ("10.0.0.2", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.2", "1.2.3.4, 198.51.100.1", "198.51.100.1"),  # the client itself may have written 1.2.3.4
        ("10.0.0.2", "198.51.100.1, 10.9.9.9", "198.51.100.1"),
        ("10.0.0.2", "", "10.0.0.2"),
        ("10.0.0.2", "unknown", "10.0.0.2"),
        (None, "198.51.100.1", None),
    ],
)
def test_only_a_trusted_proxy_is_believed(peer: str | None, forwarded_for: str | None, expected: str | None) -> None:
    assert client_ip(peer, forwarded_for, PROXIES) == expected


@given(st.text(), st.text())
def test_no_header_breaks_it(peer: str, forwarded_for: str) -> None:
    found = client_ip(peer, forwarded_for, PROXIES)
    assert found is None or truncated_ip(found) is not None
