"""The types of MODEL: text -> value. Each parser says what is wrong and what to write."""

import re
from collections.abc import Callable
from datetime import date
from math import isinf, log2

DAY_MS = 86_400_000.0
UNITS_MS = {"s": 1000.0, "m": 60_000.0, "h": 3_600_000.0, "d": DAY_MS, "w": 7 * DAY_MS}
MAX_NUMBER = 1e6
MAX_TEXT = 2000
OPERATORS = ("at least", "at most", "above", "below")

_DECIMAL = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([smhdw])")
_KEEP = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?% per (.+)")
_BUDGET = re.compile(r"([0-9]+) per (hour|day|week)")
_DATES = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}) to ([0-9]{4}-[0-9]{2}-[0-9]{2})")
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_WORD = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_NUMERIC_PATTERN = re.compile(r"[0-9.*-]+")


class WrongValueError(ValueError):
    """What is wrong. What to write."""


def is_decimal(text: str) -> bool:
    return len(text) <= 64 and _DECIMAL.fullmatch(text) is not None


def number_text(value: float) -> str:
    """Shortest text: `60`, `0.5`."""
    return str(int(value)) if isinstance(value, int) or value.is_integer() else repr(value)


def duration_text(value_ms: float) -> str:
    """In the largest unit that it is a whole number of: `30d`, `12h`, `never`; else in days: `13.6d`."""
    if isinf(value_ms):
        return "never"
    for unit in "dhms":
        count = value_ms / UNITS_MS[unit]
        if count.is_integer():
            return f"{int(count)}{unit}"
    return f"{value_ms / DAY_MS:.4g}d"


def number(low: float = -MAX_NUMBER, high: float = MAX_NUMBER) -> Callable[[str], float]:
    def parse(text: str) -> float:
        if not is_decimal(text):
            raise WrongValueError(f'"{text}" is no number. Write a decimal number such as 15 or 0.5.')
        value = float(text)
        if not low <= value <= high:
            raise WrongValueError(f"{text} is out of range. Write {number_text(low)} to {number_text(high)}.")
        return value + 0.0  # no negative zero

    return parse


def whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = number(low, high)(text)
        if not value.is_integer():
            raise WrongValueError(f"{text} is no whole number. Write {low} to {high}.")
        return int(value)

    return parse


def duration(*, least_ms: float = 0.0, never: bool = True) -> Callable[[str], float]:
    """Milliseconds; `never` is infinite."""
    forms = "30d, 12h or never" if never else "30d or 12h"

    def parse(text: str) -> float:
        if text == "never" and never:
            return float("inf")
        if is_decimal(text):
            raise WrongValueError(f'"{text}" has no unit. Write {text}d, {forms.removeprefix("30d, ")}.')
        found = _DURATION.fullmatch(text)
        if not found:
            raise WrongValueError(f'"{text}" is no duration. Write a number and s, m, h, d or w: {forms}.')
        value = float(found[1]) * UNITS_MS[found[2]]
        if not least_ms <= value <= MAX_NUMBER * DAY_MS:
            raise WrongValueError(f'"{text}" is too {"short" if value < least_ms else "long"}. Write {forms}.')
        return value

    return parse


def keep(text: str) -> float:
    """`70% per 7d` -> the half-life in ms: 7d / log2(100 / 70)."""
    found = _KEEP.fullmatch(text)
    if not found:
        raise WrongValueError(f'"{text}" does not say what is kept. Write 70% per 7d.')
    percent, span_ms = float(found[1]), duration(least_ms=1000.0, never=False)(found[2])
    if not 0 < percent < 100:
        raise WrongValueError(f"{found[1]}% is not between 0 and 100. Write 70% per 7d, or half_life: never.")
    return span_ms / log2(100 / percent)


def budget(text: str) -> tuple[int, float]:
    """`50 per day` -> (50, ms of the window)."""
    found = _BUDGET.fullmatch(text)
    if not found or not 1 <= int(found[1][:9]) <= MAX_NUMBER:
        raise WrongValueError(f'"{text}" is no budget. Write 50 per day (or hour, week).')
    return int(found[1]), {"hour": UNITS_MS["h"], "day": DAY_MS, "week": UNITS_MS["w"]}[found[2]]


def dates(text: str) -> tuple[str, str]:
    """`2026-03-01 to 2026-05-31` -> both days as ISO text, in order."""
    found = _DATES.fullmatch(text)
    try:
        first, last = (date.fromisoformat(day) for day in found.groups()) if found else (None, None)
    except ValueError as error:
        raise WrongValueError(f'"{text}": no such day ({error}). Write 2026-03-01 to 2026-05-31.') from None
    if first is None or last is None:
        raise WrongValueError(f'"{text}" is no span of days. Write 2026-03-01 to 2026-05-31.')
    if last < first or last.year > 9000:
        raise WrongValueError(f'"{text}" ends before it begins, or too late. Write the earlier day first.')
    return first.isoformat(), last.isoformat()


def boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise WrongValueError(f'"{text}" is neither true nor false. Write true or false.')
    return text == "true"


def choice(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise WrongValueError(f'"{text}" is not known here. Write {", ".join(words[:-1])} or {words[-1]}.')
        return text

    return parse


def identifier(text: str) -> str:
    if not _ID.fullmatch(text):
        raise WrongValueError(f'"{text}" is no id. Write lower-case letters, digits and -, at most 64.')
    return text


def word(text: str) -> str:
    if not _WORD.fullmatch(text):
        raise WrongValueError(f'"{text}" is no word. Write lower-case letters, digits, _ and -, at most 64.')
    return text


def free_text(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise WrongValueError(f"longer than {MAX_TEXT} characters. Write less.")
    return text


def split_test(text: str) -> tuple[str, str] | None:
    """`at least 5` -> (`at least`, `5`); None: the text is a pattern."""
    plain = " ".join(text.casefold().split())
    for operator in OPERATORS:
        if plain == operator or plain.startswith(f"{operator} "):
            return operator, plain[len(operator) :].strip()
    return None


def value(text: str) -> str:
    """A pattern as it stands, or a test in its shortest form (`at least 5`)."""
    test = split_test(free_text(text))
    if test is None:
        return text.strip()
    if not is_decimal(test[1]):
        raise WrongValueError(f'"{text}" begins like a test, but "{test[1]}" is no number. Write {test[0]} 5.')
    return f"{test[0]} {number_text(number()(test[1]))}"


def pattern(text: str) -> str:
    if split_test(free_text(text)) is not None:
        raise WrongValueError(f'"{text}" is a test of a number, but this is text. Write a pattern such as "*pricing*".')
    return text.strip()


def numeric_value(text: str) -> str:
    """A test, or a number that must be met exactly."""
    if split_test(text) is None and not _NUMERIC_PATTERN.fullmatch(text):
        raise WrongValueError(f'"{text}" can never fit a number. Write at least 60, below 40, or the number itself.')
    return number_text(number()(text)) if is_decimal(text) else value(text)


def duration_value(text: str) -> str:
    """A test of a duration, in ms: `at least 30d` -> `at least 2592000000`."""
    test = split_test(text)
    if test is None:
        raise WrongValueError(f'"{text}" is no test of a duration. Write at least 30d or below 12h.')
    return f"{test[0]} {number_text(duration(never=False)(test[1]))}"
