"""One run, or many."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from tests.simulator.check import broken_promises
from tests.simulator.schedule import Faults, Run, StuckError


def play(seed: int, faults: Faults | None = None) -> tuple[Run, list[str]]:
    """The run, and what it broke."""
    run = Run(seed, faults)
    try:
        with _quiet():
            run.play()
    except StuckError as error:
        return run, [str(error)]
    return run, broken_promises(run)


def failed(seeds: Iterable[int]) -> dict[int, list[str]]:
    """Of the seeds those that broke something."""
    return {seed: broken for seed in seeds if (broken := play(seed)[1])}


@contextmanager
def _quiet() -> Iterator[None]:
    """The schedule tells what happened; the workers' own lines would only repeat it."""
    logger = logging.getLogger("streams.engine")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)
