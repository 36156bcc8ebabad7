"""Runs the collector on a port, and ends it without dropping a request."""

import asyncio
import errno
import os
import socket

from aiohttp import web

from sources.http.app import Collector
from sources.http.server_log import server_log


class CollectorServer:
    """`app` is the collector's own, to which pages may have been added; without it, just that. `port` 0 takes a free one;
    the real one is `port` after `start`.

    Raises:
        OSError: from `start`, if the port is in use.
    """

    def __init__(
        self, collector: Collector, app: web.Application | None = None, *, host: str = "127.0.0.1", port: int = 8080
    ) -> None:
        self._collector = collector
        self._app = app
        self._host = host
        self.port = port
        self._runner: web.AppRunner | None = None
        self._listening: asyncio.Server | None = None

    async def start(self) -> None:
        runner = web.AppRunner(
            self._app or self._collector.app(),
            logger=server_log,
            access_log=None,  # paths and addresses are personal data; the metrics count requests
            auto_decompress=False,  # unpacked, bounded, by sources.http.body
            shutdown_timeout=10.0,
            keepalive_timeout=self._collector.limits.idle_seconds,  # counts from the start of a connection, too
        )
        await runner.setup()
        self._runner = runner
        try:
            self._listening = await self._listen()
        except OSError:
            self._runner = None
            await runner.cleanup()
            raise
        self.port = self._listening.sockets[0].getsockname()[1]

    async def _listen(self) -> asyncio.Server:
        server = await asyncio.get_running_loop().create_server(self._connection, self._host, self.port)
        if not server.sockets:  # asyncio passes over an address for which it gets no socket, and does not say why
            socket.socket().close()
            raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
        return server

    def _connection(self) -> asyncio.BaseProtocol:
        server = self._runner.server if self._runner is not None else None
        if server is not None and len(server.connections) < self._collector.limits.connections:
            return server()
        self._collector.connection_refused()
        return _Refused()

    async def stop(self, *, drain_seconds: float = 0.0) -> None:
        """Readiness fails for `drain_seconds`, so that a load balancer turns away; then the port is closed and the
        requests in flight are finished, for at most 10 s.
        """
        self._collector.drain()
        if drain_seconds:
            await asyncio.sleep(drain_seconds)
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None


class _Refused(asyncio.Protocol):
    """A connection that is closed at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
