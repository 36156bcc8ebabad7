"""Patterns: `*` is any run of characters, also none; the whole value must fit; case and surrounding spaces do not count."""

import unicodedata
from collections.abc import Callable, Iterable

from processors.model.joins import any_of

TextTest = Callable[[str], bool]


def normal(text: str) -> str:
    """Text as a pattern sees it: NFC, casefolded, without surrounding spaces. Cheap for ASCII."""
    if text.isascii():
        return text.strip().lower()
    folded = unicodedata.normalize("NFC", text).casefold()
    return unicodedata.normalize("NFC", folded).strip()


def any_pattern(patterns: Iterable[str]) -> TextTest:
    """Does a text that is already `normal` fit one of the patterns? An empty text fits none, not even `*`."""
    exact: set[str] = set()
    tests: list[TextTest] = []
    prefixes: list[str] = []
    suffixes: list[str] = []
    for pattern in patterns:
        pieces = normal(pattern).split("*")
        if len(pieces) == 1:
            exact.add(pieces[0])
        elif len(pieces) == 2 and not pieces[1]:
            prefixes.append(pieces[0])
        elif len(pieces) == 2 and not pieces[0]:
            suffixes.append(pieces[1])
        else:
            tests.append(_pieces_test(pieces))
    exact.discard("")
    if exact:
        tests.insert(0, frozenset(exact).__contains__)
    if prefixes:
        tests.append(_prefix_test(tuple(prefixes)))
    if suffixes:
        tests.append(_suffix_test(tuple(suffixes)))
    return any_of(tests)


def _prefix_test(prefixes: tuple[str, ...]) -> TextTest:
    def fits(text: str) -> bool:
        return text.startswith(prefixes) and text != ""

    return fits


def _suffix_test(suffixes: tuple[str, ...]) -> TextTest:
    def fits(text: str) -> bool:
        return text.endswith(suffixes) and text != ""

    return fits


def _pieces_test(pieces: list[str]) -> TextTest:
    """Leftmost places of the inner pieces between the two ends: linear, where a regular expression may not be."""
    first, last = pieces[0], pieces[-1]
    inner = [piece for piece in pieces[1:-1] if piece]
    if len(inner) == 1 and not first and not last:
        return _contains_test(inner[0])
    shortest = max(len(first) + len(last), 1)

    def fits(text: str) -> bool:
        if len(text) < shortest or not text.startswith(first) or not text.endswith(last):
            return False
        start, end = len(first), len(text) - len(last)
        for piece in inner:
            found = text.find(piece, start, end)
            if found < 0:
                return False
            start = found + len(piece)
        return True

    return fits


def _contains_test(piece: str) -> TextTest:
    def fits(text: str) -> bool:
        return piece in text

    return fits
