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
_SEPARATORS = re.compile(r"[^\w*]+|_+")


@lru_cache(maxsize=4096)
def normal_event_name(text: str) -> str:
    """`Form Submitted`, `form-submitted` -> `form_submitted`; Segment's `page` -> `page_view`.

    `*` stays, so that a pattern over names can be normalised in the same way. Names without an alias are custom events.
    """
    plain = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    words = [word for word in _SEPARATORS.split(plain) if word]
    name = "_".join(words)
    # A separator next to `*` is part of the pattern, at the ends it is not: they were stripped above.
    return _ALIASES.get(name, name)
