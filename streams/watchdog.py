"""Ends a process that has work and does not do it. A thread, so that a blocked event loop is seen too.

Whoever supervises the part starts it anew: a process either moves or is gone.
"""

import asyncio
import faulthandler
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

EXIT_STUCK: Final = 70
BLOCKED_SECONDS: Final = 60.0
BEAT_SECONDS: Final = 1.0
LAST_WORDS_SECONDS: Final = 5


def end_process(part: str, reason: str) -> None:
    """With what each thread is doing, and the reason, on stderr."""
    signal.alarm(LAST_WORDS_SECONDS)  # what blocks may be stderr itself: then the kernel ends the process
    faulthandler.dump_traceback()
    sys.stderr.write(f"leadstream {part}: {reason}; ending the process\n")
    sys.stderr.flush()
    os._exit(EXIT_STUCK)


class Watchdog(threading.Thread):
    """Looks once a second. Ends the process when the event loop has not called `beat` for `blocked_seconds`, or when `look`,
    which is given the monotonic time in seconds, has a reason. Both `look` and `end` are called from this thread.
    """

    INTERVAL_SECONDS = 1.0

    def __init__(
        self,
        part: str,
        blocked_seconds: float,
        look: Callable[[float], str | None] = lambda _: None,
        *,
        end: Callable[[str, str], None] = end_process,
    ) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._part = part
        self._blocked_seconds = blocked_seconds
        self._look = look
        self._end = end
        self._beat_at = time.monotonic()
        self._stopped = threading.Event()

    def beat(self) -> None:
        self._beat_at = time.monotonic()

    def stop(self) -> None:
        self._stopped.set()

    def run(self) -> None:
        looked_at = time.monotonic()
        while not self._stopped.wait(self.INTERVAL_SECONDS):
            now = time.monotonic()
            suspended = now - looked_at > 5 * self.INTERVAL_SECONDS
            looked_at = now
            if suspended:  # the whole process slept: the loop gets its chance first
                self.beat()
                continue
            reason = self._blocked(now) or self._look(now)
            if reason is not None:
                self._end(self._part, reason)
                return

    def _blocked(self, now: float) -> str | None:
        blocked_seconds = now - self._beat_at
        return (
            f"the event loop is blocked for {blocked_seconds:.0f} s"
            if blocked_seconds > self._blocked_seconds
            else None
        )


@asynccontextmanager
async def ended_when_blocked(part: str) -> AsyncIterator[None]:
    """Within the block, a watchdog over this event loop."""
    dog = Watchdog(part, BLOCKED_SECONDS)

    async def beat() -> None:
        while True:
            dog.beat()
            await asyncio.sleep(BEAT_SECONDS)

    beating = asyncio.create_task(beat())
    dog.start()
    try:
        yield
    finally:
        beating.cancel()
        dog.stop()
