"""Why an address cannot be reached, in words. Quotes nothing of an error: its text may hold an address with a password."""

import errno
import socket
import ssl
from collections.abc import Iterator

from redis.exceptions import AuthenticationError


def why_unreachable(error: BaseException) -> str:
    """Looks through what clients wrap around the error of the connection. The name of its class where nobody knows more."""
    for cause in _causes(error):
        match cause:
            case socket.gaierror():
                return "its name has no address"
            case _ if is_refusal(cause):
                return "nothing listens there"
            case TimeoutError():
                return "no answer in time"
            case ssl.SSLError():
                return "TLS fails"
            case AuthenticationError():
                return "it does not take the user or the password"
    return type(error).__name__


def is_refusal(error: BaseException) -> bool:
    """Nobody listens. asyncio puts the errors of several addresses into one, with their texts."""
    return isinstance(error, OSError) and f"[Errno {errno.ECONNREFUSED}]" in str(error)


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
