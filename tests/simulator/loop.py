"""An event loop without a clock and without I/O: it runs what is ready, and then somebody else decides what happens."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class SimulatedLoop(asyncio.AbstractEventLoop):
    """Runs callbacks in the order in which they became ready, so the same decisions give the same run.

    A deadline (`asyncio.timeout`) passes when `expire` says so; `owner` tells whose code asks for it.
    """

    def __init__(self, owner: Callable[[], str]) -> None:
        self._owner = owner
        self._ready: deque[asyncio.Handle] = deque()
        self.deadlines: dict[asyncio.TimerHandle, str] = {}  # and whose they are

    @contextmanager
    def running(self) -> Iterator[None]:
        asyncio._set_running_loop(self)
        try:
            yield
        finally:
            asyncio._set_running_loop(None)

    def run_until_idle(self) -> None:
        """Until every task waits for something that only the caller can give."""
        while self._ready:
            handle = self._ready.popleft()
            if not handle.cancelled():
                handle._run()

    def expire(self, deadline: asyncio.TimerHandle) -> None:
        del self.deadlines[deadline]
        self._ready.append(deadline)

    # What tasks, futures, locks and timeouts ask of a loop.

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Any = None) -> asyncio.Handle:  # type: ignore[override]
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self.deadlines[timer] = self._owner()
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        self.deadlines.pop(handle, None)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, **arguments: Any) -> asyncio.Task[Any]:
        return asyncio.Task(coro, loop=self, **arguments)

    def time(self) -> float:
        return 0.0

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """An error in a callback ends the run; tasks that a killed worker leaves behind are no error."""
        if "handle" in context:
            raise context["exception"]
