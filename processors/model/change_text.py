"""Where two values of filled trees differ, as a file would say them, shortened to what differs."""

from collections.abc import Iterator
from typing import Any

from processors.model.scalars import duration_text, number_text, split_test

_DURATIONS = frozenset(
    {"half_life", "after", "within", "min_dwell", "cooldown", "stuck_after", "quiet_period", "ack_within", "recency"}
)
_DURATION_TESTS = frozenset({"idle", "in_stage"})
_WINDOWS = {"1h": "hour", "1d": "day", "7d": "week"}
_MOST = 60  # characters of a value
_BEFORE = 12  # of them before the first that differs


def differences(path: str, old: Any, new: Any, key: str = "") -> Iterator[tuple[str, str, str]]:
    """(path, before, after) of each place that differs, as deep as both sides go; `key` says what a number means."""
    if _is_tree(old) and _is_tree(new):
        for name in {**old, **new}:
            if old.get(name) != new.get(name):
                yield from differences(f"{path}.{name}", old.get(name), new.get(name), key if name.isdigit() else name)
    elif _are_trees(old) and _are_trees(new) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            if before != after:
                yield from differences(path if len(old) == 1 else f"{path}[{index}]", before, after, key)
    else:
        yield path, *_shortened(_text(key, old), _text(key, new))


def _is_tree(value: Any) -> bool:
    """A mapping of keys, not one that stands for a single value, as a limit does."""
    return isinstance(value, dict) and not {"times", "bound"} & value.keys()


def _are_trees(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


def _shortened(before: str, after: str) -> tuple[str, str]:
    start = 0
    if max(len(before), len(after)) > _MOST:
        pairs = enumerate(zip(before, after, strict=False))
        differs = next((place for place, (one, other) in pairs if one != other), min(len(before), len(after)))
        start = max(differs - _BEFORE, 0)
    return _cut(before, start), _cut(after, start)


def _cut(text: str, start: int) -> str:
    rest = text[start:]
    return ("..." if start else "") + (rest if len(rest) <= _MOST else f"{rest[:_MOST]}...")


def _text(key: str, value: Any) -> str:
    if value in (None, [], {}):
        return "none"
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return duration_text(value) if key in _DURATIONS else number_text(value)
        case str():
            test = split_test(value) if key in _DURATION_TESTS else None
            return value if test is None else f"{test[0]} {duration_text(float(test[1]))}"
        case {"times": times, "per": per, "by": by}:
            return f"{times} per {per}" + (f" by {by}" if by else "")
        case {"kind": "idle", "bound": bound}:
            return f"idle: at least {duration_text(bound)}"
        case {"bound": bound, "text": text}:
            return f"{text}: below {number_text(bound)}"
        case (str(first), str(last)) if key == "valid":
            return f"{first} to {last}"
        case (int(most), float(window)) if key == "budget":
            return f"{most} per {_WINDOWS[duration_text(window)]}"
        case dict():
            return ", ".join(f"{name}: {_nested(name, each)}" for name, each in value.items() if _says_more(name, each))
        case _:
            return ", ".join(_nested(key, each) for each in value)


def _nested(key: str, value: Any) -> str:
    text = _text(key, value)
    if _is_tree(value):
        return f"{{{text}}}"
    return f"[{text}]" if isinstance(value, list) and len(value) > 1 else text


def _says_more(name: str, value: Any) -> bool:
    """Its name stands before it already, and of absent keys there are many."""
    return name != "id" and value is not None
