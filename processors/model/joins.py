"""Tests joined by or and and. Loops instead of generators: these run for every act, and cost a third."""

from collections.abc import Callable, Sequence
from typing import TypeVar

Subject = TypeVar("Subject")


def any_of(tests: Sequence[Callable[[Subject], bool]]) -> Callable[[Subject], bool]:
    """Holds if one test does; never, if there are none."""
    if len(tests) == 1:
        return tests[0]

    def joined(subject: Subject) -> bool:
        for test in tests:  # noqa: SIM110 - see above
            if test(subject):
                return True
        return False

    return joined


def all_of(tests: Sequence[Callable[[Subject], bool]]) -> Callable[[Subject], bool]:
    """Holds if every test does; always, if there are none."""
    if len(tests) == 1:
        return tests[0]

    def joined(subject: Subject) -> bool:
        for test in tests:  # noqa: SIM110 - see above
            if not test(subject):
                return False
        return True

    return joined


def negation(test: Callable[[Subject], bool]) -> Callable[[Subject], bool]:
    return lambda subject: not test(subject)
