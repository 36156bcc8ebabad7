"""Two states of one row, compared: what the changelog holds, and what the log gives when it is folded anew. Pure."""

from math import isclose
from typing import Any, NamedTuple

import msgspec

from schemas.rows import Row, Tally, UnreadableRowError, read_header, unpack_row

X_TOLERANCE = 1e-9  # relative; all else is exact
_MAX_SHOWN = 120


class RowDifference(NamedTuple):
    """For people: `what` of the row differs, and how it stands on each side."""

    what: str
    live: str
    replayed: str


class CompareResult(NamedTuple):
    """`lost`: acts that the log has and the live row does not count; `counted_twice`: those it counts too often."""

    differences: list[RowDifference]
    lost: int
    counted_twice: int


def compare_rows(live: bytes | None, replayed: bytes | None) -> CompareResult:
    """Compare two packed rows; a gone row is the same as none. Wake-up hints are not state and not looked at."""
    live, replayed = _present(live), _present(replayed)
    if live is None or replayed is None:
        return _compare_presence(live, replayed)
    live_version, version = read_header(live).version, read_header(replayed).version
    found = [] if live_version == version else [RowDifference("version", _at(live_version), _at(version))]
    try:
        row = unpack_row(live)
    except UnreadableRowError as error:
        found.append(RowDifference("row", f"cannot be read: {error}", "can be read"))
        return CompareResult(found, _acts(unpack_row(replayed)), 0)
    other = unpack_row(replayed)
    found += _compare_fields(row, other)
    return CompareResult(found, *_miscounted(row, other))


def _compare_presence(live: bytes | None, replayed: bytes | None) -> CompareResult:
    if live is None and replayed is None:
        return CompareResult([], 0, 0)
    if replayed is not None:
        return CompareResult([RowDifference("row", "missing", _summary(replayed))], _acts(unpack_row(replayed)), 0)
    return CompareResult([RowDifference("row", _summary(live or b""), "missing")], 0, 0)


def _present(data: bytes | None) -> bytes | None:
    return None if data is None or read_header(data).gone else data


def _at(version: tuple[int, int]) -> str:
    return f"epoch {version[0]} offset {version[1]}"


def _summary(data: bytes) -> str:
    try:
        stage = unpack_row(data).stage
    except UnreadableRowError as error:
        return f"cannot be read: {error}"
    return f"{_at(read_header(data).version)}, stage {stage!r}"


def _compare_fields(live: Row, replayed: Row) -> list[RowDifference]:
    found = []
    for field in msgspec.structs.fields(Row):
        ours, theirs = getattr(live, field.name), getattr(replayed, field.name)
        if field.name == "tallies":
            found += _compare_entries("tallies", ours, theirs, _same_tally)
        elif isinstance(ours, dict):
            found += _compare_entries(field.name, ours, theirs, lambda a, b: bool(a == b))
        elif ours != theirs:
            found.append(RowDifference(field.name, _shown(ours), _shown(theirs)))
    return found


def _compare_entries(name: str, live: dict[Any, Any], replayed: dict[Any, Any], same: Any) -> list[RowDifference]:
    found = []
    for key in sorted(live.keys() | replayed.keys(), key=str):
        ours, theirs = live.get(key), replayed.get(key)
        if ours is None or theirs is None or not same(ours, theirs):
            shown_key = key.hex() if isinstance(key, bytes) else key
            found.append(RowDifference(f"{name}[{shown_key}]", _shown(ours), _shown(theirs)))
    return found


def _same_tally(live: Tally, replayed: Tally) -> bool:
    return isclose(live.x, replayed.x, rel_tol=X_TOLERANCE) and msgspec.structs.replace(live, x=replayed.x) == replayed


def _shown(value: Any) -> str:
    text = "missing" if value is None else repr(value)
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."


def _acts(row: Row) -> int:
    """How many acts a row counts, as far as it can tell: those it remembers, or those of one rule."""
    return max([len(row.window), *(tally.count for tally in row.tallies.values())])


def _miscounted(live: Row, replayed: Row) -> tuple[int, int]:
    """(lost, counted twice): the window names single acts, a rule's count also those that it has forgotten."""
    forgotten = len(replayed.window.keys() - live.window.keys())
    short, over = [forgotten], [0]
    for rule in live.tallies.keys() | replayed.tallies.keys():
        ours, theirs = live.tallies.get(rule), replayed.tallies.get(rule)
        surplus = (ours.count if ours else 0) - (theirs.count if theirs else 0)
        short.append(-surplus)
        over.append(surplus)
    return max(short), max(over)
