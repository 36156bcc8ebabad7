"""The packaged Lua scripts, and what an error of Redis means to delivery."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources

from redis import exceptions
from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from sinks.base import RetryLater

# The connection is gone, or the server says that it cannot serve now. Every write here may be repeated.
_AWAY = (
    exceptions.ConnectionError,  # also BusyLoadingError
    exceptions.TimeoutError,
    exceptions.ReadOnlyError,
    exceptions.OutOfMemoryError,
    exceptions.TryAgainError,
    exceptions.WatchError,
)


def connect(url: str) -> Redis:
    """A client that gives up on a silent server; it connects at the first command."""
    return Redis.from_url(url, socket_connect_timeout=5, socket_timeout=10, decode_responses=False)


def script(client: Redis, name: str) -> AsyncScript:
    """`sinks/lua/<name>.lua`, called by its SHA; a server that does not know it is told."""
    text = resources.files("sinks").joinpath("lua", f"{name}.lua").read_text("utf-8")
    return client.register_script(text)


@contextmanager
def retry_when_away(done: int = 0) -> Iterator[None]:
    try:
        yield
    except _AWAY as error:
        # The text of an error may quote the address; its type says enough.
        raise RetryLater(f"Redis: {type(error).__name__}", done=done) from error


async def ping(client: Redis) -> str | None:
    """None, or why Redis cannot be used."""
    try:
        await client.ping()
    except exceptions.RedisError as error:
        return f"Redis: {type(error).__name__}"
    return None
