"""/metrics, /livez, /readyz and /health for the parts that serve no HTTP of their own: worker and sinks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from aiohttp import web

from sources.http.server_log import server_log

LOOPBACK = "127.0.0.1"
CHECK_SECONDS = 5.0

Check = Callable[[], Awaitable[str | None]]
"""None, or what is wrong, in one line without secrets."""


def status_app(render: Callable[[], tuple[bytes, str]], checks: Mapping[str, Check]) -> web.Application:
    """/livez answers while the event loop turns; /readyz and /health are 503 while a check finds something."""

    async def metrics(_: web.Request) -> web.Response:
        body, content_type = render()
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def live(_: web.Request) -> web.Response:
        return web.json_response({"status": "live"})

    async def ready(_: web.Request) -> web.Response:
        found = await asyncio.gather(*(_ask(check) for check in checks.values()))
        problems = {name: problem for name, problem in zip(checks, found, strict=True) if problem is not None}
        if problems:
            return web.json_response({"status": "not ready", "problems": problems}, status=503)
        return web.json_response({"status": "ready"})

    app = web.Application()
    app.add_routes(
        [web.get("/metrics", metrics), web.get("/livez", live), web.get("/readyz", ready), web.get("/health", ready)]
    )
    return app


async def _ask(check: Check) -> str | None:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check()
    except TimeoutError:
        return f"no answer within {CHECK_SECONDS:g} s"


@asynccontextmanager
async def serve_status(app: web.Application, port: int = 0, host: str = LOOPBACK) -> AsyncIterator[int]:
    """Serve until the block ends; yields the port, a free one for 0.

    Raises:
        OSError: the port is in use.
    """
    runner = web.AppRunner(app, logger=server_log, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
