"""Which write key does a request carry, and is it one of ours?"""

import base64
import hmac
from collections.abc import Sequence

from sources.config import WriteKey


def key_in_authorization(header: str | None) -> str | None:
    """The user of `Basic` (its colon may be missing, its password is ignored) or the token of `Bearer`."""
    scheme, _, rest = (header or "").strip().partition(" ")
    if scheme.casefold() == "bearer":
        return rest.strip() or None
    if scheme.casefold() != "basic":
        return None
    try:
        user = base64.b64decode(rest.strip(), validate=True).decode()
    except ValueError:  # not ASCII, not base64, not UTF-8
        return None
    return user.partition(":")[0] or None


def find_key(said: str | None, keys: Sequence[WriteKey]) -> WriteKey | None:
    """The configured key that equals `said`; compares all of them, in constant time each."""
    found: WriteKey | None = None
    for candidate in keys:
        if said is not None and hmac.compare_digest(said.encode("utf-8", "surrogatepass"), candidate.key.encode()):
            found = candidate
    return found
