"""Hands single records to a sink once more, outside its consumer group: no other sink and no offset is touched.

Each has the same idempotency key as before (the transition's id), and may come after newer ones of the same lead.
"""

import sys
from collections.abc import Callable
from contextlib import AsyncExitStack, redirect_stdout

from sinks.base import Delivery, RetryLater, Sink, StartOver, Undeliverable
from streams.delivery.put_back import CannotReplayError, SinkAwayError


class OneDelivery:
    """A sink, which `make` makes from the settings here; opened with the first delivery, closed with `stack`.

    `make` raises ValueError where the settings do not allow it.
    """

    def __init__(self, name: str, make: Callable[[], Sink], stack: AsyncExitStack) -> None:
        self._name = name
        self._make = make
        self._stack = stack
        self._sink: Sink | None = None

    async def __call__(self, delivery: Delivery) -> None:
        """One attempt.

        Raises:
            SinkAwayError: the destination cannot take it now.
            CannotReplayError: it will never take it.
        """
        sink = self._sink or await self._opened()
        try:
            with redirect_stdout(sys.stderr):  # an alert on the terminal is no part of the command's answer
                await sink.deliver([delivery])
        except Undeliverable as error:
            raise CannotReplayError("the destination refuses it again", error.reason) from error
        except RetryLater as error:
            raise SinkAwayError("the destination cannot take it now; run it again later", error.reason) from error
        except StartOver as error:
            raise SinkAwayError(
                "its destination has lost what it was told; the sink fills it by itself", str(error)
            ) from error

    async def _opened(self) -> Sink:
        try:
            sink = self._make()
        except ValueError as error:
            raise SinkAwayError(f"the sink {self._name} cannot be made from the settings here", str(error)) from error
        self._stack.push_async_callback(sink.close)
        await sink.open()
        self._sink = sink
        return sink
