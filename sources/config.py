"""What the collector has to be told. Read from the settings by `streams`, never from the environment here."""

from dataclasses import dataclass, field
from ipaddress import ip_network

from sources.client_address import Network


@dataclass(frozen=True, slots=True)
class WriteKey:
    """The key is public (it stands in web pages), but a server's key may not be: it is never shown."""

    name: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one request, and of many. Bytes as sent and after unpacking; both stay below Kafka's record limit of 1 MiB,
    so that a body that cannot be used fits whole into a dead letter.
    """

    body_bytes: int = 1_000_000
    unpacked_bytes: int = 1_000_000
    events: int = 2_500
    read_seconds: float = 30.0  # for a body
    read_bytes_at_once: int = 128_000_000  # of all bodies that are being read
    idle_seconds: float = 75.0  # for the head of a request, and between two; longer than proxies keep a connection
    connections: int = 5_000
    requests_in_flight: int = 500
    requests_per_second_per_key: float = 1_000.0  # 0: no limit, here and below
    events_per_second_per_visitor: float = 20.0


@dataclass(frozen=True, slots=True)
class CollectorSettings:
    """`secret` keys the hash of e-mails in lead keys. No `write_keys`: every key is taken. `origins` are exact, such as
    `https://www.acme.example`; `trusted_proxies` are networks whose X-Forwarded-For is believed.
    """

    secret: bytes = field(repr=False)
    write_keys: tuple[WriteKey, ...] = ()
    origins: tuple[str, ...] = ()
    allow_loopback_origins: bool = False
    trusted_proxies: tuple[str, ...] = ()
    limits: Limits = Limits()
    events_topic: str = "leadstream.events.v1"
    dead_letters_topic: str = "leadstream.dead-letters.v1"

    def proxy_networks(self) -> tuple[Network, ...]:
        """Raises:
        ValueError: naming the text that is no network.
        """
        return tuple(ip_network(text) for text in self.trusted_proxies)
