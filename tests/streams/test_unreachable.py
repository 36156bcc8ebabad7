import socket
import ssl
from pathlib import Path

import aiohttp
import pytest
from redis.asyncio import Redis as Client

from streams.embedded.process import free_port
from streams.embedded.store import EmbeddedStore
from streams.unreachable import why_unreachable


async def of_redis(url: str, seconds: float = 10.0) -> str:
    async with Client.from_url(url, socket_timeout=seconds, socket_connect_timeout=seconds) as client:
        with pytest.raises(Exception) as caught:  # noqa: PT011 - which one is what is asked here
            await client.ping()
    return why_unreachable(caught.value)


async def of_http(url: str) -> str:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError) as caught:
            await session.get(url)
    return why_unreachable(caught.value)


async def test_nobody_listens() -> None:
    port = free_port()
    assert await of_redis(f"redis://app:hunter2@127.0.0.1:{port}/3") == "nothing listens there"
    assert await of_redis(f"redis://localhost:{port}") == "nothing listens there"  # two addresses, where IPv6 is on
    assert await of_http(f"http://127.0.0.1:{port}/") == "nothing listens there"


async def test_there_is_no_such_name() -> None:
    assert await of_redis("redis://nobody.invalid:1/0") == "its name has no address"
    assert await of_http("http://nobody.invalid:1/") == "its name has no address"


async def test_it_takes_no_password(tmp_path: Path) -> None:
    async with EmbeddedStore.start(tmp_path / "log") as store:
        address = store.url.removeprefix("redis://")
        assert await of_redis(f"redis://app:hunter2@{address}") == "it does not take the user or the password"


async def test_it_hangs() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert await of_redis(f"redis://127.0.0.1:{server.getsockname()[1]}/0", 0.2) == "no answer in time"


def test_what_else_it_may_be() -> None:
    assert why_unreachable(ssl.SSLError(1, "secret")) == "TLS fails"
    assert why_unreachable(ValueError("secret")) == "ValueError"
