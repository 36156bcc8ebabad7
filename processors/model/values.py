"""Values against patterns and tests, both as `scalars.value` leaves them. A list of them means any."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import ge, gt, le, lt

from processors.model.joins import any_of
from processors.model.patterns import any_pattern, normal
from processors.model.scalars import is_decimal, number_text, split_test

ValueTest = Callable[[object], bool]
NumberTest = Callable[[float], bool]

# `lt(5.0, value)` is "value above 5": the bound comes first, so that it can be bound.
_HOLDS = {"at least": le, "at most": ge, "above": lt, "below": gt}
BARE_NUMBER_TOLERANCE = 0.001


def number_tests(texts: Iterable[str]) -> list[NumberTest]:
    """The tests among the texts."""
    found = map(split_test, texts)
    return [partial(_HOLDS[test[0]], float(test[1])) for test in found if test]


def value_test(texts: Sequence[str]) -> ValueTest:
    """Asked about a value of any type. A missing or empty value fits nothing, a list if one element fits, a number
    meets a pattern as its shortest text, and text that is a decimal number meets a test.
    """
    patterns = [text for text in texts if not split_test(text)]
    text_fits = any_pattern(patterns)
    tests = number_tests(texts)
    number_fits = any_of(tests)

    def fits(value: object) -> bool:
        if value is None:
            return False
        if isinstance(value, str):
            plain = normal(value)
            return text_fits(plain) or (bool(tests) and is_decimal(plain) and number_fits(float(plain)))
        if isinstance(value, bool):
            return text_fits("true" if value else "false")
        if isinstance(value, int | float):
            return number_fits(value) or (bool(patterns) and text_fits(number_text(value)))
        return isinstance(value, list) and any(map(fits, value))

    return fits


def near_test(texts: Sequence[str]) -> ValueTest:
    """As `value_test`, but a bare number is met within 0.001: what a test of the model expects of a computed number."""
    fits = value_test(texts)
    numbers = [float(text) for text in texts if is_decimal(text)]

    def near(value: object) -> bool:
        if isinstance(value, int | float) and any(abs(value - number) <= BARE_NUMBER_TOLERANCE for number in numbers):
            return True
        return fits(value)

    return near
