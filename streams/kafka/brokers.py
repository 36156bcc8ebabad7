"""Where the brokers are and how every client talks to them: address, TLS, SASL. Opens no connection."""

import re
import ssl
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
MECHANISMS: tuple[SaslMechanism, ...] = get_args(SaslMechanism)
WRITE_SERVERS = "Write HOST:PORT[,HOST:PORT], such as localhost:9092; IPv6 in brackets: [::1]:9092"
_SERVER = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[\w.-]+):(\d{1,5})", re.ASCII)


def are_servers(text: str) -> bool:
    """Is it `host:port`, several with commas? A client takes 9092 for a port that is missing, and what else is wrong for a
    broker that is away.
    """
    found = [_SERVER.fullmatch(server.strip()) for server in text.split(",")]
    return all(match is not None and 0 < int(match[1]) <= 65_535 for match in found)


class UnsafeSettingsError(ValueError):
    """Settings that would send a secret in clear."""


@dataclass(frozen=True, slots=True)
class Security:
    """TLS and SASL towards the brokers; a password never goes out without TLS."""

    ssl_context: ssl.SSLContext | None = None
    sasl_mechanism: SaslMechanism | None = None
    username: str = ""
    password: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.sasl_mechanism is not None and self.ssl_context is None:
            raise UnsafeSettingsError(
                f"SASL {self.sasl_mechanism} without TLS would send the password in clear: turn TLS on"
            )

    def client_arguments(self) -> dict[str, Any]:
        """Keyword arguments of an aiokafka client, beside its servers."""
        if self.ssl_context is None:
            return {}
        if self.sasl_mechanism is None:
            return {"security_protocol": "SSL", "ssl_context": self.ssl_context}
        return {
            "security_protocol": "SASL_SSL",
            "ssl_context": self.ssl_context,
            "sasl_mechanism": self.sasl_mechanism,
            "sasl_plain_username": self.username,
            "sasl_plain_password": self.password,
        }


PLAINTEXT = Security()


@dataclass(frozen=True, slots=True)
class Brokers:
    """`servers`: `host:port`, several with commas."""

    servers: str
    security: Security = PLAINTEXT

    def client_arguments(self) -> dict[str, Any]:
        """Keyword arguments of every aiokafka client: producer, consumer, admin client. They may hold a password."""
        return {"bootstrap_servers": self.servers, **self.security.client_arguments()}
