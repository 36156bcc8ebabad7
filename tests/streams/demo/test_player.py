import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import TestServer

from streams.clock import PlayedClock, SystemClock
from streams.demo.player import Player
from streams.demo.site import PlayedRequest


@dataclass
class Collector:
    """Answers with the next of `statuses`, 200 when they are used up."""

    statuses: list[int] = field(default_factory=list)
    rejected: int = 0
    bodies: list[dict[str, object]] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)

    async def receive(self, request: web.Request) -> web.Response:
        self.bodies.append(json.loads(await request.text()))
        self.headers.append(request.headers["X-Leadstream-Sent-At"])
        status = self.statuses.pop(0) if self.statuses else 200
        return web.json_response({"success": status == 200, "rejected": self.rejected}, status=status)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Player]:
        app = web.Application()
        app.router.add_post("/v1/p", self.receive)
        async with TestServer(app) as server:
            clock = PlayedClock(0, SystemClock().now_ms(), 1.0)
            yield Player(f"http://{server.host}:{server.port}", clock)


def _request(event_id: str, visitor: str = "0a" * 16, at_ms: int = 0) -> PlayedRequest:
    return PlayedRequest(at_ms, visitor, "/v1/p", {"Content-Type": "text/plain"}, {"messageId": event_id}, (event_id,))


async def test_an_acknowledged_event_is_accepted_once() -> None:
    collector = Collector()
    async with collector.running() as player:
        await player.play([_request("a"), _request("b")])
    assert player.acknowledged == {"a": 1, "b": 1}
    assert (player.accepted, player.refused, player.in_air) == (2, 0, 0)
    assert all("sentAt" in body for body in collector.bodies)
    assert all(sent_at.isdigit() for sent_at in collector.headers)


async def test_a_collector_that_cannot_take_it_now_is_asked_again_with_the_first_time_of_sending() -> None:
    collector = Collector(statuses=[503, 429])
    async with collector.running() as player:
        await player.play([_request("a")])
    assert (player.accepted, player.retries) == (1, 2)
    assert len(collector.headers) == 3
    assert len(set(collector.headers)) == 1


async def test_a_refused_event_is_not_accepted() -> None:
    async with Collector(statuses=[400]).running() as player:
        await player.play([_request("a"), _request("b")])
    assert (player.accepted, player.refused) == (1, 1)


async def test_a_request_with_a_refused_item_is_not_accepted() -> None:
    async with Collector(rejected=1).running() as player:
        await player.play([_request("a")])
    assert (player.accepted, player.refused) == (0, 1)


async def test_requests_of_one_visitor_keep_their_order_while_one_is_tried_again() -> None:
    collector = Collector(statuses=[503])
    async with collector.running() as player:
        await player.play([_request(name) for name in "abc"])
    assert [body["messageId"] for body in collector.bodies] == ["a", "a", "b", "c"]


async def test_no_request_is_sent_before_its_time() -> None:
    collector, began = Collector(), asyncio.get_running_loop().time()
    async with collector.running() as player:
        await player.play([_request("a", at_ms=86_400_000 // 4)])
    assert asyncio.get_running_loop().time() - began >= 0.24
