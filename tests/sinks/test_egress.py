import socket
from ipaddress import IPv4Address

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st

from sinks.egress import CheckedResolver, EgressRefusedError, check_url, refusal


class Answers(AbstractResolver):
    """Answers each question with the next list of addresses, the last one again and again."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[ResolveResult]:
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [ResolveResult(hostname=host, host=a, port=port, family=family, proto=0, flags=0) for a in addresses]

    async def close(self) -> None:
        pass


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.9.9.9",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.168.1.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "64:ff9b::7f00:1",
        "64:ff9b::808:808",
        "64:ff9b:1::a00:1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "localhost",
        "2130706433",
        "",
    ],
)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert refusal(address) is not None


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "93.184.215.14", "2606:4700::1111", "2a00:1450:4001::8a"])
def test_a_public_address_is_not_refused(address: str) -> None:
    assert refusal(address) is None


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_no_ipv4_address_that_python_calls_private_or_multicast_passes(ip: IPv4Address) -> None:
    if ip.is_private or ip.is_multicast or ip.is_loopback or ip.is_link_local or ip.is_unspecified:
        assert refusal(str(ip)) is not None
    assert refusal(f"::ffff:{ip}") is not None


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://hooks.example/x", "must begin with https"),
        ("ftp://hooks.example/x", "must begin with https"),
        ("https:///secret-token", "and a host"),
        ("https://user:hunter2@hooks.example/", "user name or password"),
        ("https://127.0.0.1/secret-token", "not a public address"),
        ("https://[::1]/secret-token", "not a public address"),
        ("https://169.254.169.254/latest/meta-data", "not a public address"),
        ("https://①②⑦.0.0.1/secret-token", "127.0.0.1 is not a public address"),
        ("https://127。0。0。1/secret-token", "127.0.0.1 is not a public address"),
        ("https://127.1/secret-token", "not a public address"),
        ("https://127.0.0.1./secret-token", "not a public address"),
        ("https://2130706433/secret-token", "not a public address"),
        ("https://0177.0.0.1/secret-token", "not a public address"),
        ("https://0x7f.0x1/secret-token", "not a public address"),
        ("https://[::ffff:7f00:1]/secret-token", "not a public address"),
        ("https://[fe80::1%25eth0]/secret-token", "not a public address"),
        ("https://hooks.example\\@127.0.0.1/secret-token", "cannot be read"),
    ],
)
def test_a_url_that_could_never_be_called_is_refused_without_telling_its_secrets(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        check_url(url, allow_private=False)
    assert "secret-token" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_private_addresses_are_allowed_only_when_told() -> None:
    check_url("http://127.0.0.1:8080/x", allow_private=True)
    check_url("https://hooks.example/x", allow_private=False)


async def test_one_private_address_among_public_ones_refuses_the_name() -> None:
    resolver = CheckedResolver(Answers(["8.8.8.8", "10.0.0.1"]), allow_private=False)
    with pytest.raises(EgressRefusedError, match=r"hooks.example resolves to 10.0.0.1"):
        await resolver.resolve("hooks.example")


async def test_every_dial_is_checked_anew() -> None:
    resolver = CheckedResolver(Answers(["8.8.8.8"], ["169.254.169.254"]), allow_private=False)
    assert [each["host"] for each in await resolver.resolve("hooks.example")] == ["8.8.8.8"]
    with pytest.raises(EgressRefusedError):
        await resolver.resolve("hooks.example")
