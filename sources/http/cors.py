"""Which web pages may send: CORS by exact origin, with credentials, since the trackers' requests carry cookies.

A simple request (beacon, text/plain) reaches a server whatever CORS says, so a refused origin is refused here.
"""

import logging
import re
from collections.abc import Mapping
from typing import Final

from yarl import URL

log = logging.getLogger(__name__)

PREFLIGHT_SECONDS: Final = 7_200  # the longest that Chromium caches
MAX_NAMED_ORIGINS: Final = 1_000
_LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_ORIGIN: Final = re.compile(r"https?://[A-Za-z0-9.\-_\[\]:]{1,255}")
_HEADER_NAMES: Final = re.compile(r"[A-Za-z0-9\-_, ]{1,1024}")


class Origins:
    """Origins that may send: those listed, the collector's own, and every loopback one if told so."""

    def __init__(self, allowed: tuple[str, ...], *, allow_loopback: bool) -> None:
        self._allowed = tuple(origin.rstrip("/").casefold() for origin in allowed)
        self._allow_loopback = allow_loopback
        self._named: set[str] = set()

    def allows(self, origin: str, host: str) -> bool:
        """`host` is the request's own Host: a page that the collector serves may send to it."""
        plain = origin.casefold()
        if plain in self._allowed:
            return True
        if not _ORIGIN.fullmatch(origin):
            return False
        try:
            url = URL(origin)
        except ValueError:
            return False
        if plain.partition("://")[2] == host.casefold():
            return True
        is_loopback = url.host in _LOOPBACK_HOSTS or (url.host or "").endswith(".localhost")
        return self._allow_loopback and is_loopback

    def refused(self, origin: str) -> str:
        """What to do about it; logged once for each origin."""
        if not _ORIGIN.fullmatch(origin):
            advice = "pages without an origin (such as file://) cannot send; open the page over http"
        else:
            origins = ", ".join(f'"{one}"' for one in (*self._allowed, origin))
            advice = f"this origin may not send; to let it, write in leadstream.toml under [collector], and start again: origins = [{origins}]"
        if origin not in self._named and len(self._named) < MAX_NAMED_ORIGINS:
            self._named.add(origin)
            log.warning("refused a request from %.300r: %s", origin, advice)
        return advice


def answer_headers(origin: str) -> dict[str, str]:
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": "Retry-After",
    }


def preflight_headers(asked: Mapping[str, str]) -> dict[str, str]:
    """The headers that the browser asks for are echoed: SDKs send `authorization`, `anonymousid`, `sentat`, ..."""
    headers = {
        "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
        "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
    }
    names = asked.get("Access-Control-Request-Headers", "")
    if _HEADER_NAMES.fullmatch(names):
        headers["Access-Control-Allow-Headers"] = names
    return headers
