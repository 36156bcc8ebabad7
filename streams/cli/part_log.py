"""The log of a long-running part, on stderr: one line each, and nothing in it that a terminal obeys."""

import logging
from types import TracebackType
from typing import TypeAlias

from streams.cli.printing import escaped

_ExcInfo: TypeAlias = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)  # as sys.exc_info() gives it


class _OneLine(logging.Formatter):
    """What is logged may quote what was sent: it begins no line of its own. A traceback stands below, indented."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - a name of logging
        return escaped(super().formatMessage(record))

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802 - as above
        return "\n".join(f"  {escaped(line)}" for line in super().formatException(ei).split("\n"))


def log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for noisy in ("aiokafka", "faust", "mode", "apprise"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
