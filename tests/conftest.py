import asyncio
import signal
from weakref import WeakSet

from aiokafka.conn import AIOKafkaConnection
from hypothesis import settings

from tests.brokers import broker, prefix, redis_url

__all__ = ["broker", "prefix", "redis_url"]

# How long an example takes is for tests/bench to say: on a busy machine any deadline fails some day.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")

# A shell in the background ignores Ctrl-C, and every process that a test starts would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# aiokafka loses its first connection where a start is cancelled (`pyproject.toml`). Collected after its loop, it would leave its
# socket open, and some later test would be told. A consumer or producer that nobody stops warns by its own name all the same.
_connected: WeakSet[AIOKafkaConnection] = WeakSet()
_connect, _shutdown = AIOKafkaConnection.connect, asyncio.BaseEventLoop.shutdown_asyncgens


async def _connect_known(self: AIOKafkaConnection) -> object:
    _connected.add(self)
    return await _connect(self)


async def _close_lost_connections(self: asyncio.BaseEventLoop) -> None:
    """The last that runs in the loop of a test."""
    await _shutdown(self)
    for connection in [each for each in _connected if each._loop is self and each._reader is not None]:
        connection._on_close_cb = None
        connection.close()
    await asyncio.sleep(0)  # a transport closes its socket in the next round


AIOKafkaConnection.connect = _connect_known
asyncio.BaseEventLoop.shutdown_asyncgens = _close_lost_connections  # type: ignore[method-assign]  # as above
