"""Watches the parts of `up`: a worker that ends is started again, any other part that ends is told."""

import asyncio
import signal
from collections import deque
from collections.abc import Callable
from pathlib import Path

from streams.embedded.process import StartError
from streams.stack import Stack

_LOOK_SECONDS = 0.25
_MOST_RESTARTS, _WITHIN_SECONDS = 3, 60.0
Tell = Callable[[str], None]


class PartEndedError(RuntimeError):
    """A part ended that holds what the others need. The message has its last line, unless it was killed.

    Attributes:
        exit_code: the part's, where it is known.
    """

    def __init__(self, message: str, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code


async def supervise(stack: Stack, tell: Tell) -> None:
    """Until cancelled. `tell` also hears the collector's warnings, such as a refused origin.

    Raises:
        PartEndedError: broker, store, collector or a sink ended, or workers end one after the other.
    """
    warnings, restarts = _Warnings(stack.logs / "collector.log"), deque[float](maxlen=_MOST_RESTARTS)
    while True:
        for line in warnings.new():
            tell(f"collector: {line}")
        for name in [name for name, child in stack.parts.items() if child.exit_code is not None]:
            await _take_over(stack, name, restarts, tell)
        await asyncio.sleep(_LOOK_SECONDS)


async def _take_over(stack: Stack, name: str, restarts: deque[float], tell: Tell) -> None:
    child = stack.parts.pop(name)
    how = f"{name} (pid {child.pid}) {_ending(child.exit_code or 0)}"
    # Who is killed had no time to say why.
    last = f"; its last line: {stack.last_line(name)}" if (child.exit_code or 0) > 0 else ""
    now = asyncio.get_running_loop().time()
    if child not in stack.workers:
        raise PartEndedError(how + last, child.exit_code)
    if len(restarts) == _MOST_RESTARTS and now - restarts[0] < _WITHIN_SECONDS:
        raise PartEndedError(f"{how}, again{last}", child.exit_code)
    restarts.append(now)
    successor = stack.start_worker()
    number = len(stack.workers)
    tell(f"{how}; starting worker-{number}")
    try:
        await stack.until_ready(f"worker-{number}", successor)
    except StartError as error:
        if successor.exit_code is None:
            raise PartEndedError(str(error)) from error
        return  # it is found ended at the next look
    tell(f"worker-{number} took over; nothing is lost")


def _ending(exit_code: int) -> str:
    return f"was killed ({signal.Signals(-exit_code).name})" if exit_code < 0 else f"ended with exit code {exit_code}"


class _Warnings:
    """The warnings and errors in a growing log file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0

    def new(self) -> list[str]:
        """Since the last call; whole lines only."""
        with self._path.open("rb") as file:
            file.seek(self._position)
            text, newline, _ = file.read().rpartition(b"\n")
        self._position += len(text) + len(newline)
        found = []
        for line in text.decode("utf-8", "replace").splitlines():
            for level in (" WARNING ", " ERROR "):
                _, is_one, said = line.partition(level)
                logger, _, message = said.partition(": ")
                if is_one:
                    if not logger.startswith("aiokafka"):  # the collector says the same in the words of people
                        found.append(_readable(message))
                    break
        return found


def _readable(text: str) -> str:
    """Without what a terminal would obey."""
    return "".join(each if each.isprintable() else " " for each in text[:1000])
