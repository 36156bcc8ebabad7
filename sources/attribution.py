"""Where a visit came from, read off the page's URL."""

from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from schemas.records import Campaign, ClickId
from sources.values import first_text

# The first of these that the URL carries is the click id. Ad clicks come before `fbclid`, which organic posts carry too.
CLICK_IDS: Final = (
    "gclid",
    "gbraid",
    "wbraid",
    "dclid",
    "msclkid",
    "ttclid",
    "bd_vid",
    "li_fat_id",
    "twclid",
    "yclid",
    "fbclid",
)
MAX_CLICK_ID_CHARACTERS: Final = 512
MAX_UTM_CHARACTERS: Final = 256
_FIELDS: Final = ("source", "medium", "name", "term", "content", "id")
_PARAMETERS: Final = {f"utm_{'campaign' if field == 'name' else field}": field for field in _FIELDS}


def query_of(url: str | None) -> dict[str, str]:
    """The query of a URL: of a repeated name the first value that is not blank; names in lower case."""
    if not url or "?" not in url:
        return {}
    try:
        pairs = parse_qsl(urlsplit(url).query)
    except ValueError:  # such as an IPv6 host without its bracket
        return {}
    query: dict[str, str] = {}
    for name, value in pairs:
        if value.strip():
            query.setdefault(name.casefold(), value)
    return query


def campaign_of(said: dict[str, Any], query: dict[str, str]) -> Campaign | None:
    """The client's own campaign if it names one, whole; else the URL's UTM values. The two are never mixed."""
    return _campaign(said) or _campaign({field: query.get(name) for name, field in _PARAMETERS.items()})


def _campaign(values: dict[str, Any]) -> Campaign | None:
    campaign: dict[str, str | None] = {}
    for field in _FIELDS:
        text = first_text(values.get(field), limit=MAX_UTM_CHARACTERS)
        campaign[field] = text.casefold() if text else None
    return campaign if any(campaign.values()) else None  # type: ignore[return-value]  # its keys are exactly _FIELDS


def click_id_of(query: dict[str, str]) -> ClickId | None:
    """The first of `CLICK_IDS` in the query, unchanged; one too long to be real is left out."""
    for kind in CLICK_IDS:
        value = query.get(kind)
        if value and len(value) <= MAX_CLICK_ID_CHARACTERS:
            return {"kind": kind, "value": value}
    return None
