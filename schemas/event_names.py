"""One name for one kind of act, whatever tool sent it."""

import re
import unicodedata
from functools import lru_cache

# Names of other trackers for acts that have one of our own.
_ALIASES = {
    "page": "page_view",  # Segment
    "screen": "screen_view",  # Segment
    "pv": "page_view",  # Snowplow
    "file_download": "download",  # GA4
    "form_submit": "form_submitted",  # GA4
}
# What the tracker, Segment's calls, access logs and the aliases above are called; every other name is a site's own.
BUILT_IN_NAMES = frozenset({*_ALIASES.values(), "page_left", "identify", "group", "alias"})
MAX_NAME_CHARACTERS = 200
_SEPARATORS = re.compile(r"[^\w*]+|_+")


def normal_event_name(text: str) -> str:
    """`Form Submitted`, `form-submitted` -> `form_submitted`; Segment's `page` -> `page_view`; cut at 200 characters.

    `*` stays, so that a pattern over names can be normalised in the same way. Names without an alias are custom events.
    """
    return _normal(text[:MAX_NAME_CHARACTERS])


@lru_cache(maxsize=4096)
def _normal(text: str) -> str:
    plain = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    name = "_".join(word for word in _SEPARATORS.split(plain) if word)
    return _ALIASES.get(name, name)
