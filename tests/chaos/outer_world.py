"""The receiver of the webhook: writes down every delivery, and behaves badly when told to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web

Mood = Literal["good", "slow", "error", "throttles", "drops after writing", "answers too late"]
TOO_LATE_SECONDS = 30


@dataclass
class Delivery:
    id: str
    body: bytes


@dataclass
class OuterWorld:
    url: str = ""
    mood: Mood = "good"
    deliveries: list[Delivery] = field(default_factory=list)

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator["OuterWorld"]:
        world = cls()
        app = web.Application()
        app.router.add_post("/", world._take)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            world.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
            yield world
        finally:
            await runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if self.mood == "error":
            return web.Response(status=500)
        if self.mood == "throttles":
            return web.Response(status=429, headers={"Retry-After": "1"})
        if self.mood == "slow":
            await asyncio.sleep(2)
        self.deliveries.append(Delivery(request.headers["webhook-id"], body))
        if self.mood == "answers too late":
            await asyncio.sleep(TOO_LATE_SECONDS)
        if self.mood == "drops after writing" and request.transport is not None:
            request.transport.close()
        return web.Response(status=204)
