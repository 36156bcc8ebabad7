"""The bodies of requests, read within bounds of size, time and memory of all that are being read."""

import asyncio

from aiohttp import StreamReader

from sources.config import Limits


class BodyTooLargeError(Exception):
    """It has more bytes than a body may have."""


class TooMuchAtOnceError(Exception):
    """The bodies that are being read fill the memory set aside for them."""


class BodyReader:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held_bytes = 0

    async def read(self, content: StreamReader) -> bytes:
        """Raises:
        BodyTooLargeError, TooMuchAtOnceError.
        TimeoutError: it did not arrive in time. ConnectionError: the client is gone.
        """
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.read_seconds):
                async for chunk in content.iter_any():
                    if len(body) + len(chunk) > self._limits.body_bytes:
                        raise BodyTooLargeError
                    if self._held_bytes + len(chunk) > self._limits.read_bytes_at_once:
                        raise TooMuchAtOnceError
                    body += chunk
                    self._held_bytes += len(chunk)
            return bytes(body)
        finally:
            self._held_bytes -= len(body)
