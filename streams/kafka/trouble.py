"""Says why brokers do not talk to us: aiokafka tells only that it could not reach any. Never says a password."""

import asyncio
import socket
import ssl
from typing import Any

from aiokafka.conn import AIOKafkaConnection, collect_hosts
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from streams.kafka.brokers import Brokers
from streams.unreachable import is_refusal

_TIMEOUT_MS = 5_000
_GOODBYE_SECONDS = 1.0


class BrokerRefusesError(ConnectionError):
    """A broker is there and does not talk to us.

    Attributes:
        what: which broker, and what is wrong.
        fix: which setting to look at.
    """

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(f"{what}; {fix}")
        self.what = what
        self.fix = fix


class BrokersAwayError(KafkaConnectionError):  # type: ignore[misc]  # aiokafka is not typed
    """No broker answers. `why`: what went wrong at each address."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def why_away(error: Exception) -> str:
    """Of an error that says that no broker answers: why, for people."""
    match error:
        case BrokersAwayError():
            return error.why
        case OSError(strerror=str(words)):
            return words
    return type(error).__name__


async def start_client(client: Any, brokers: Brokers) -> None:
    """Start a producer, consumer or admin client.

    Raises:
        BrokerRefusesError: a broker answers, and the settings of TLS or SASL do not suit it.
        BrokersAwayError: no broker answers.
        KafkaError: another failure of the client.
    """
    try:
        await client.start()
    except KafkaConnectionError as error:
        whys = [
            await _why_not_at(host, port, brokers) for host, port, _ in collect_hosts(brokers.servers, randomize=False)
        ]
        raise BrokersAwayError(", ".join(dict.fromkeys(whys))) from error


async def _why_not_at(host: str, port: int, brokers: Brokers) -> str:
    """Why nobody answers at an address.

    Raises:
        BrokerRefusesError: somebody does.
    """
    arguments = brokers.security.client_arguments()
    error = await _error_of(AIOKafkaConnection(host, port, request_timeout_ms=_TIMEOUT_MS, **arguments))
    match error:
        case None:
            return f"{host}:{port} did not a moment ago"
        case socket.gaierror():
            return f"no address is known for the name {host}"
        case _ if is_refusal(error):
            return f"nothing listens on {host}:{port}"
    if said := await _said(host, port, brokers, error):
        raise BrokerRefusesError(f"the broker at {host}:{port} {said[0]}", said[1]) from error
    return f"{host}:{port}: {why_away(error)}"


async def _error_of(connection: AIOKafkaConnection) -> Exception | None:
    """What goes wrong up to the first answer."""
    found = None
    try:
        await connection.connect()
        await connection.send(MetadataRequest([]))
    except (OSError, KafkaError) as error:  # OSError: also those of TLS, and timeouts
        found = error
    finally:
        closed = connection.close()
    if found is None or not (isinstance(found, socket.gaierror) or is_refusal(found)):
        # There was a connection, which takes time to end: TLS wants a goodbye from both sides.
        await asyncio.wait({closed}, timeout=_GOODBYE_SECONDS)
    return found


async def _said(host: str, port: int, brokers: Brokers, error: Exception) -> tuple[str, str] | None:
    """What is wrong and what to do; None: nothing that a setting could mend."""
    security = brokers.security
    match error:
        case ssl.SSLCertVerificationError():
            return (
                f"has a certificate that is not trusted ({error.verify_message})",
                "kafka.ca_file must be the CA that has signed it, and the address one that it is for",
            )
        case SaslAuthenticationFailed():
            return (
                f"does not accept the user {security.username!r} with this password ({security.sasl_mechanism})",
                "set kafka.username and kafka.password (LEADSTREAM_KAFKA_PASSWORD_FILE)",
            )
        case UnsupportedSaslMechanismError():
            return f"does not offer {security.sasl_mechanism}", "set another kafka.sasl_mechanism"
        case IllegalSaslStateError():
            return "asks for no password on this port", "leave kafka.sasl_mechanism empty, or use its SASL port"
    if security.ssl_context is None:
        if await _speaks_tls(host, port):
            return "speaks TLS on this port", 'say kafka.security = "tls" (LEADSTREAM_KAFKA_SECURITY)'
        return None
    if isinstance(error, KafkaConnectionError) or _is_alert(error):
        return (
            "ends the connection once TLS is agreed on",
            "it may want a password (kafka.sasl_mechanism), or a client certificate that it trusts (kafka.certificate_file)",
        )
    if isinstance(error, ssl.SSLError | ConnectionResetError):
        return "does not speak TLS on this port", 'use its TLS port, or say kafka.security = "plaintext"'
    return None


async def _speaks_tls(host: str, port: int) -> bool:
    """Whether it answers a TLS greeting; nothing else is sent, so whose certificate it shows does not matter."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(_TIMEOUT_MS / 1000):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except ssl.SSLError as error:
        return _is_alert(error)
    except OSError:
        return False
    writer.transport.abort()
    return True


def _is_alert(error: Exception) -> bool:
    """The other side has refused in the words of TLS."""
    return isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or "")
