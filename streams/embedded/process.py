"""A child process that listens on a loopback port and does not outlive us."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType

LOOPBACK = "127.0.0.1"
_POLL_SECONDS = 0.02
_ATTEMPTS = 3

# Runs in the child before the program does. `prctl(PR_SET_PDEATHSIG)` survives `exec`, so this needs no `preexec_fn`,
# which is unsafe where threads run. A parent that died before the call is seen by its changed pid.
_TIE_TO_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, int(signal.SIGKILL))
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


class StartError(RuntimeError):
    """A server did not start. The message says which, why, and what to do."""


class Child:
    """A running program in its own session, so that Ctrl-C on the terminal reaches us first and we end it in order.

    On Linux the kernel kills it when the thread that started it ends, however that comes about; start it from the main
    thread. Elsewhere (macOS) a parent that gets SIGKILL leaves it running; the log line of the start names its pid.
    """

    def __init__(
        self, command: Sequence[str], log: Path | None, environment: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        tied = [sys.executable, "-I", "-S", "-c", _TIE_TO_PARENT, str(os.getpid())] if sys.platform == "linux" else []
        output = subprocess.DEVNULL if log is None else os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the programs of pinned packages, never a user's text
                [*tied, *command],
                cwd="/",  # the embedded broker would obey an `.env` file in the working directory,
                # and variables such as LISTENER_URL, CERT or SCHEMA_REGISTRY
                env={"RUST_LOG": "warn", **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        finally:
            if log is not None:
                os.close(output)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; -9 for a SIGKILL."""
        return self._process.poll()

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and reap it."""
        self._process.kill()
        self._process.wait()

    def wait(self, deadline_seconds: float) -> int:
        """Block until it ends; its exit code.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        return self._process.wait(deadline_seconds)

    async def stop(self, grace_seconds: float = 3.0) -> None:
        """SIGTERM; SIGKILL when the grace is over or the caller is cancelled."""
        self._process.terminate()
        try:
            async with asyncio.timeout(grace_seconds):
                await _poll(self._has_ended)
        except TimeoutError:
            pass
        finally:
            self.kill()

    async def until(self, ready: Callable[[], Awaitable[bool]], what: str, deadline_seconds: float) -> None:
        """Return when `ready()` is true.

        Raises:
            StartError: the program ended, or the deadline passed.
        """

        async def ready_or_ended() -> bool:
            return self.exit_code is not None or await ready()

        try:
            async with asyncio.timeout(deadline_seconds):
                await _poll(ready_or_ended)
        except TimeoutError:
            raise StartError(f"{what} (pid {self.pid}) was not ready after {deadline_seconds:g} s") from None
        if self.exit_code is not None:
            raise StartError(f"{what} ended at its start with exit code {self.exit_code}")

    async def _has_ended(self) -> bool:
        return self.exit_code is not None


async def _poll(condition: Callable[[], Awaitable[bool]]) -> None:
    while not await condition():  # noqa: ASYNC110 - a process sends no asyncio event
        await asyncio.sleep(_POLL_SECONDS)


@asynccontextmanager
async def serve(
    what: str,
    command: Callable[[int], Sequence[str]],
    answers: Callable[[int], Awaitable[bool]],
    log: Path | None,
    deadline_seconds: float,
) -> AsyncIterator[tuple[int, Child]]:
    """Run `command(port)` on a free loopback port until the block ends; yields when `answers(port)` is true.

    Raises:
        StartError: it ended, or did not answer in time.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        port = free_port()
        child = Child(command(port), log)
        try:
            try:
                await child.until(partial(answers, port), what, deadline_seconds)
            except StartError:
                if child.exit_code is None or attempt == _ATTEMPTS:
                    raise
                continue  # most likely somebody took the port in between
            yield port, child
            return
        finally:
            await child.stop()


def free_port() -> int:
    """A port that nobody listens on now. Somebody may take it before it is used."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
