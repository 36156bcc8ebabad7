"""Clients that are slow or never finish take nothing from the others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from tests.eventually import eventually
from tests.sources.http.running import Running, running_collector, with_limits

Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]
HEAD = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n"
REFUSED = ("leadstream_collector_connections_refused_total",)


@asynccontextmanager
async def clients(running: Running, count: int, sent: bytes) -> AsyncIterator[list[Client]]:
    """Connections that have sent this and then say no more."""
    opened = [await asyncio.open_connection("127.0.0.1", running.server.port) for _ in range(count)]
    try:
        for _, writer in opened:
            writer.write(sent)
            await writer.drain()
        yield opened
    finally:
        for _, writer in opened:
            writer.close()


async def ended(client: Client) -> bool:
    """Has the collector closed it? Reads what it answered before."""
    try:
        async with asyncio.timeout(5):
            while await client[0].read(65536):
                pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


async def post(running: Running) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.post(running.url + "/v1/events", json={"type": "page_view", "anonymous_id": "a"}) as answer,
    ):
        return answer.status


async def test_a_head_that_does_not_arrive_ends_its_connection() -> None:
    async with running_collector(with_limits(idle_seconds=0.2)) as running:
        for sent in (
            b"",
            b"POST /v1/ev",
            HEAD % 10,
            b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /livez HTTP/1.1\r\nHos",
        ):
            async with clients(running, 1, sent) as (client,):
                assert await ended(client), sent


async def test_drops_of_a_head_do_not_lengthen_its_time() -> None:
    async with (
        running_collector(with_limits(idle_seconds=0.3)) as running,
        clients(running, 1, HEAD % 10) as ((reader, writer),),
    ):
        dropping = asyncio.create_task(_drop(writer))
        assert await ended((reader, writer))
        dropping.cancel()


async def _drop(writer: asyncio.StreamWriter) -> None:
    number = 0
    while not writer.is_closing():
        writer.write(b"X-%d: y\r\n" % number)
        number += 1
        await asyncio.sleep(0.02)  # the pace of the slow client


@pytest.mark.slow
async def test_drops_of_a_body_do_not_lengthen_its_time() -> None:
    async with (
        running_collector(with_limits(read_seconds=0.3)) as running,
        clients(running, 1, HEAD % 100_000 + b"\r\n") as ((reader, writer),),
    ):
        dropping = asyncio.create_task(_drop(writer))
        async with asyncio.timeout(5):
            assert b" 408 " in await reader.readline()
        dropping.cancel()


async def test_bodies_that_do_not_arrive_take_no_place_of_others() -> None:
    async with (
        running_collector(with_limits(requests_in_flight=5)) as running,
        clients(running, 50, HEAD % 100 + b"\r\n{"),
    ):
        assert [await post(running) for _ in range(5)] == [200] * 5


async def test_the_memory_of_bodies_that_do_not_arrive_is_bounded() -> None:
    async with running_collector(with_limits(read_bytes_at_once=10_000)) as running:
        async with clients(running, 9, HEAD % 2_000 + b"\r\n" + b" " * 1_100):
            await eventually(lambda: answered(running, 503))
        await eventually(lambda: answered(running, 200))


async def answered(running: Running, wanted: int) -> bool:
    async with (
        aiohttp.ClientSession() as session,
        session.post(running.url + "/v1/events", data=b'{"type": "x", "anonymous_id": "a"}' + b" " * 1_100) as answer,
    ):
        return answer.status == wanted


async def test_connections_are_bounded_and_one_that_ends_makes_room() -> None:
    async with running_collector(with_limits(connections=3)) as running:
        async with clients(running, 3, b"POST"):
            async with clients(running, 1, b"") as (client,):
                assert await ended(client)
            assert running.metrics.counts[REFUSED] >= 1
        await eventually(lambda: served(running))


async def served(running: Running) -> bool:
    try:
        return await post(running) == 200
    except aiohttp.ClientError:
        return False
