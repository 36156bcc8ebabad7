"""URLs as conditions see them: `host/path`, without scheme, port, query, fragment and trailing `/`."""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote, unquote_plus

from processors.model.patterns import TextTest, any_pattern, normal

MAX_URL_CHARACTERS = 2048
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://|//", re.IGNORECASE)
_PORT = re.compile(r":[0-9]*$")

UrlTest = Callable[["Url"], bool]


class Url(NamedTuple):
    host: str  # empty: the URL names none
    path: str  # begins with `/`
    query: str  # as it came
    place: str  # host + path


def split_url(text: str) -> Url:
    """The parts of a URL in normal form; of `/pricing?x` and `acme.example/pricing` too. Never raises."""
    return _split_url(text[:MAX_URL_CHARACTERS])  # cut first: what is kept must be bounded


@lru_cache(maxsize=2048)
def _split_url(text: str) -> Url:
    rest = text.strip().partition("#")[0]
    rest, _, query = rest.partition("?")
    authority, path = _split_place(rest)
    host, path = normal(unquote(_host(authority))), _path(path)
    return Url(host, path, query, host + path)


def _split_place(text: str) -> tuple[str, str]:
    """(authority, path): the scheme goes, and what precedes the first `/` is the authority."""
    scheme = _SCHEME.match(text)
    authority, slash, path = text[scheme.end() :].partition("/") if scheme else text.partition("/")
    return authority, slash + path


def _host(authority: str) -> str:
    return _PORT.sub("", authority.rpartition("@")[2])


def _path(text: str) -> str:
    path = normal(unquote(text)).rstrip("/ ")
    return path if path.startswith("/") else f"/{path}"


@lru_cache(maxsize=1024)
def _parameters(query: str) -> dict[str, list[str]]:
    """Name -> values of a query, decoded and normal."""
    found: dict[str, list[str]] = {}
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name:
            found.setdefault(normal(unquote_plus(name)), []).append(normal(unquote_plus(value)))
    return found


def any_url_pattern(patterns: Iterable[str]) -> UrlTest:
    """Does a URL fit one of the patterns? One that begins with `/` is held against the path alone; with `?` each
    `name=pattern` after it must be present, in any order.
    """
    by_place, by_path, tests = [], [], list[UrlTest]()
    for pattern in patterns:
        place, mark, query = pattern.strip().partition("?")
        place = normal_place(place)
        if mark:
            tests.append(_query_test(place, query))
        elif place.startswith("/"):
            by_path.append(place)
        else:
            by_place.append(place)
    path_fits, place_fits = any_pattern(by_path), any_pattern(by_place)

    def fits(url: Url) -> bool:
        return place_fits(url.place) or path_fits(url.path) or (bool(tests) and any(test(url) for test in tests))

    return fits


def normal_place(pattern: str) -> str:
    """The part of a URL pattern before `?`, in the form of `Url.place` (or `Url.path`, if it begins with `/`)."""
    text = unquote(pattern.strip().partition("#")[0])
    if text.startswith("/") and not text.startswith("//"):
        return _trim(text)
    authority, path = _split_place(text)
    if authority and not path and "*" not in authority:
        path = "/"  # a bare host is its home page
    return _trim(_host(authority) + path)


def _trim(place: str) -> str:
    """Without trailing `/`, but the home page stays `host/`, and `*/` any home page."""
    trimmed = place.rstrip("/")
    return trimmed if "/" in trimmed or trimmed == place else f"{trimmed}/"


def _query_test(place: str, query: str) -> UrlTest:
    place_fits: TextTest = any_pattern([place or "*"])
    on_path = place.startswith("/")
    wanted = []
    for pair in query.split("&"):
        name, equals, pattern = pair.partition("=")
        if name:
            wanted.append((normal(unquote_plus(name)), any_pattern([unquote_plus(pattern)]) if equals else None))

    def fits(url: Url) -> bool:
        if not place_fits(url.path if on_path else url.place):
            return False
        present = _parameters(url.query)
        return all(
            name in present and (value_fits is None or any(map(value_fits, present[name])))
            for name, value_fits in wanted
        )

    return fits
