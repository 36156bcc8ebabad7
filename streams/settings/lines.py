"""The line of a setting in `leadstream.toml`: the parser of TOML does not keep it. Pure."""

import re

Path = tuple[str | int, ...]  # of keys; a number is the place in a list of tables

_KEY = r"""(?:"[^"]*"|'[^']*'|[\w-]+)"""
_KEYS = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_KEYS})\s*\]")
_ASSIGNMENT = re.compile(rf"\s*({_KEYS})\s*=")


def line_of(text: str, path: Path) -> int | None:
    """Where a key or its section is written; where that cannot be found, the section it belongs to."""
    places = _places(text)
    for length in range(len(path), 0, -1):
        wanted = path[:length]
        for number, written in places:
            if written[:length] == wanted:
                return number
    return None


def _places(text: str) -> list[tuple[int, Path]]:
    """(line, path) of every header and every assignment."""
    found: list[tuple[int, Path]] = []
    section: Path = ()
    counts: dict[Path, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            section = _names(header[2])
            if header[1] == "[[":
                counts[section] = counts.get(section, -1) + 1
                section = (*section, counts[section])
            found.append((number, section))
        elif assignment := _ASSIGNMENT.match(line):
            found.append((number, (*section, *_names(assignment[1]))))
    return found


def _names(keys: str) -> Path:
    return tuple(key.strip("\"'") for key in re.findall(_KEY, keys))
