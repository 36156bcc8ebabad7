"""Whose request is it, and how much of the address may be kept?"""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network


def truncated_ip(text: object) -> str | None:
    """An address without its last part: IPv4 /24, IPv6 /48. None for what is no address."""
    return _truncated(text) if isinstance(text, str) and len(text) <= 64 else None


@lru_cache(maxsize=10_000)
def _truncated(text: str) -> str | None:
    address = _address(text)
    if address is None:
        return None
    network = ip_network((address, 24 if address.version == 4 else 48), strict=False)
    return str(network.network_address)


def client_ip(peer: str | None, forwarded_for: str | None, trusted: Sequence[Network]) -> str | None:
    """The address of the client: the peer, or behind trusted proxies the last one in X-Forwarded-For that is none."""
    chain = [peer, *reversed((forwarded_for or "").split(","))]
    client: str | None = None
    for hop in chain:
        address = _address(hop)
        if address is None:
            break
        client = str(address)
        if not any(address in network for network in trusted):
            break
    return client


@lru_cache(maxsize=10_000)
def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _address(text: object) -> IPv4Address | IPv6Address | None:
    return _parsed(text.strip()) if isinstance(text, str) and len(text) <= 64 else None
