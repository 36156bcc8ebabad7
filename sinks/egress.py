"""Which addresses an outbound call may dial, so that a URL in the settings cannot reach into one's own network.

The name is resolved once per dial and the connection goes to the address that was checked: a resolver that answers
differently the second time ("rebinding") gains nothing.
"""

import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

# Addresses that carry an IPv4 address inside, and what `is_global` of some Python 3.11 releases lets through.
_REFUSED_NETWORKS = tuple(
    ip_network(network)
    for network in (
        "100.64.0.0/10",  # carrier-grade NAT
        "192.0.0.0/24",  # protocol assignments
        "192.88.99.0/24",  # 6to4 relays
        "::ffff:0:0/96",  # IPv4-mapped
        "::/96",  # IPv4-compatible
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",  # local NAT64
        "2001::/23",  # Teredo, ORCHID and other protocol assignments
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing
        "fec0::/10",  # site-local
    )
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")


class EgressRefusedError(OSError):
    """The call would leave for an address that is not allowed. An OSError, as aiohttp expects of a resolver."""


def refusal(address: str) -> str | None:
    """None for a public unicast address, else what is wrong with it."""
    try:
        ip = ip_address(address)
    except ValueError:
        return "no IP address"
    if isinstance(ip, IPv6Address) and (ip.scope_id is not None or ip not in _GLOBAL_UNICAST):
        return "no global unicast address"
    return _refusal_of(ip)


def _refusal_of(ip: IPv4Address | IPv6Address) -> str | None:
    if not ip.is_global or ip.is_reserved or ip.is_multicast:
        return "private, loopback, link-local, multicast or reserved"
    network = next((network for network in _REFUSED_NETWORKS if ip.version == network.version and ip in network), None)
    return None if network is None else f"inside {network}"


def check_url(url: str, *, allow_private: bool) -> None:
    """Refuse a URL that could never be called. A host that is a name is checked when it is dialled.

    It is read as the HTTP client reads it, to which `①②⑦.0.0.1` is an address too: one that no resolver is asked for.

    Raises:
        ValueError: without the path, which may hold a token.
    """
    try:
        parts = URL(url)
        host = parts.raw_host
    except ValueError:
        raise ValueError("the URL cannot be read") from None  # its text may quote all of it
    if not host or parts.scheme not in ("https", "http"):
        raise ValueError("the URL must begin with https:// and a host")
    if parts.user is not None or parts.password is not None:
        raise ValueError(f"the URL of {host} must not hold a user name or password")
    if allow_private:
        return
    if parts.scheme != "https":
        raise ValueError(f"the URL of {host} must begin with https://")
    if _is_address(host) and (why := refusal(host)):
        raise ValueError(f"{host} is not a public address: {why}")


def _is_address(host: str) -> bool:
    """Also in the short and the odd forms that some resolvers take, such as `127.1`: no name ends in a number."""
    last = host.rstrip(".").rpartition(".")[2]
    return ":" in host or last.isdigit() or last.startswith("0x")


class CheckedResolver(AbstractResolver):
    """Resolves by `inner` and refuses the name if any of its addresses is not public."""

    def __init__(self, inner: AbstractResolver, *, allow_private: bool) -> None:
        self._inner = inner
        self._allow_private = allow_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Raises EgressRefusedError for a name with an address that is not public."""
        found = await self._inner.resolve(host, port, family)
        for each in () if self._allow_private else found:
            if why := refusal(each["host"]):
                raise EgressRefusedError(f"{host} resolves to {each['host']}: {why}")
        return found

    async def close(self) -> None:
        await self._inner.close()
