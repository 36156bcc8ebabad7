"""`python -m tests.chaos.part worker`: a part as `leadstream` runs it, with a clock that can be stepped.

CLOCK_FILE: holds the seconds by which its clock is ahead; read again and again, so that it steps while the part runs.
CRASH_AT: where a worker or sink ends itself, such as `before:commit:2`. LIMIT: what it may have at most, such as `NOFILE 12`
(file descriptors) or `AS 250000000` (bytes of address space).
"""

import os
import resource
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path

_LOOK_EVERY_SECONDS = 0.1


def step_clock_by(file: Path) -> None:
    """From now on everybody in this process, libraries too, is told a time that is so much ahead."""
    real, real_ns, monotonic = time.time, time.time_ns, time.monotonic
    ahead, look_at = 0, 0.0

    def ahead_seconds() -> int:
        nonlocal ahead, look_at
        if monotonic() >= look_at:
            look_at = monotonic() + _LOOK_EVERY_SECONDS
            with suppress(OSError):  # no descriptor is left for it; nobody expects that of `time.time`
                ahead = int(file.read_text())
        return ahead

    time.time = lambda: real() + ahead_seconds()
    time.time_ns = lambda: real_ns() + ahead_seconds() * 1_000_000_000


def main() -> None:
    step_clock_by(Path(os.environ.pop("CLOCK_FILE")))  # before a module takes `time.time` for its own
    if (point := os.environ.pop("CRASH_AT", None)) is not None:
        import_module("tests.chaos.crash").crash_at(point)
    leadstream: Callable[[], None] = import_module("streams.cli").main
    if (limit := os.environ.pop("LIMIT", None)) is not None:
        name, most = limit.split()
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (int(most), int(most)))
    leadstream()


if __name__ == "__main__":
    main()
