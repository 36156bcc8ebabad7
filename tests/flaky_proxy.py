"""A TCP proxy that cuts its connections, delays answers or holds everything back when told: a service that goes away in the
middle of a request, is slow, or hangs.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class FlakyProxy:
    """Forwards to `target`, a port. `reset` ends all connections. `cut_after` bytes of requests, counted from when it is set,
    it closes every connection once. `delay_seconds` is added to each answer. While `flows` is cleared, connections stay open and
    nothing passes.
    """

    def __init__(self, port: int) -> None:
        self.cut_after: int | None = None
        self.cuts = 0
        self.own_port = 0
        self.target = port
        self.delay_seconds = 0.0
        self.flows = asyncio.Event()
        self.flows.set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_target, to_target = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:  # nobody listens there
            writer.close()
            return
        self._writers |= {writer, to_target}
        with suppress(ConnectionError):
            await asyncio.gather(self._requests(reader, to_target), self._answers(from_target, writer))
        for each in (writer, to_target):
            self._writers.discard(each)
            each.close()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self.flows.wait()
            if self.cut_after is not None and len(data) >= self.cut_after:
                writer.write(data[: self.cut_after])
                await writer.drain()
                self.cut_after = None
                self.cuts += 1
                self.close()
                return
            if self.cut_after is not None:
                self.cut_after -= len(data)
            writer.write(data)
            await writer.drain()
        writer.close()

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await asyncio.sleep(self.delay_seconds)
            await self.flows.wait()
            writer.write(data)
            await writer.drain()
        writer.close()

    def reset(self) -> None:
        """Every connection, as by a firewall: with an RST, at once."""
        for writer in self._writers:
            if (sock := writer.get_extra_info("socket")) is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    def close(self) -> None:
        for writer in self._writers:
            writer.close()


@asynccontextmanager
async def flaky_proxy(port: int) -> AsyncIterator[FlakyProxy]:
    proxy = FlakyProxy(port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.own_port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.close()
