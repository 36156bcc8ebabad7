"""The log of a long-running part, on stderr: one line each, and nothing in it that a terminal obeys."""

import faulthandler
import logging
from types import TracebackType
from typing import Any, TypeAlias

from streams.cli.printing import escaped

_ExcInfo: TypeAlias = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)  # as sys.exc_info() gives it

SELDOM_SECONDS = 30.0
_TALKATIVE = ("aiokafka", "asyncio")
_BEGINNING = 24  # characters of a message that tell its kind
_LEVELS = {
    "aiokafka": logging.WARNING,
    "faust": logging.WARNING,
    "mode": logging.WARNING,
    # Under the names of the modules of their classes Faust tells that its services start and stop.
    "streams.engine.app": logging.WARNING,
    "streams.engine.transport": logging.WARNING,
    "apprise": logging.WARNING,
    "stamina": logging.ERROR,  # it tells neither what is tried again nor why; who retries tells both
}


class _OneLine(logging.Formatter):
    """What is logged may quote what was sent: it begins no line of its own. A traceback stands below, indented."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - a name of logging
        return escaped(super().formatMessage(record))

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802 - as above
        return "\n".join(f"  {escaped(line)}" for line in super().formatException(ei).split("\n"))


class _Seldom(logging.Filter):
    """The client tells each of ten attempts per second to reach a broker that is away, asyncio each of a thousand to
    take a connection without a free descriptor. Once in a while is enough.
    """

    def __init__(self) -> None:
        super().__init__()
        self._told_at: dict[tuple[Any, ...], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith(_TALKATIVE):
            return True
        arguments = record.args if isinstance(record.args, tuple) else ()
        # Without what differs each time: arguments, and the objects that asyncio writes into the text itself.
        kind = record.name, str(record.msg)[:_BEGINNING], *map(type, arguments)
        if 0 <= record.created - self._told_at.get(kind, 0.0) < SELDOM_SECONDS:
            return False
        self._told_at[kind] = record.created
        return True


def log_to_stderr() -> None:
    faulthandler.enable()  # a library that dies without memory dies with a reason, too
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(_Seldom())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for name, level in _LEVELS.items():
        logging.getLogger(name).setLevel(level)
