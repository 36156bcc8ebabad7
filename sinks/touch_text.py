"""Where a lead came from, in words. Pure."""

from datetime import UTC, datetime, tzinfo
from urllib.parse import urlsplit

from schemas.records import StageTransition, Touch
from sinks.plain_text import plain

MEDIA = {
    "cpc": "paid search",
    "ppc": "paid search",
    "paidsearch": "paid search",
    "organic": "search",
    "email": "e-mail",
    "social": "social",
    "referral": "link",
    "affiliate": "partner link",
    "display": "banner",
}
CLICK_IDS = {
    "gclid": "Google ad",
    "gbraid": "Google ad",
    "wbraid": "Google ad",
    "msclkid": "Microsoft ad",
    "fbclid": "Facebook",
    "li_fat_id": "LinkedIn",
    "ttclid": "TikTok",
    "bd_vid": "Baidu ad",
}


def came_from(transition: StageTransition, timezone: tzinfo) -> str:
    """First and last touch; empty if neither is known."""
    first, last = transition["first_touch"], transition["last_touch"]
    told = [] if first is None else [f"{_touch(first)}, {day(first['at'], timezone)}"]
    if last is not None and (first is None or _touch(last) != _touch(first)):
        told.append(f"last: {_touch(last)}")
    return " · ".join(told)


def _touch(touch: Touch) -> str:
    campaign = touch["campaign"]
    if campaign is not None and (campaign["source"] or campaign["medium"] or campaign["name"]):
        medium = campaign["medium"] or ""
        words = [
            plain(campaign["source"] or "").capitalize(),
            MEDIA.get(medium, plain(medium)),
            plain(campaign["name"] or ""),
        ]
        term = f', "{plain(campaign["term"])}"' if campaign["term"] else ""
        return " ".join(word for word in words if word) + term
    if touch["click_id"] is not None:
        kind = touch["click_id"]["kind"]
        return CLICK_IDS.get(kind, plain(kind))
    return _host(touch["referrer"]) or (f"source {plain(touch['source'])}" if touch["source"] else "direct")


def _host(url: str | None) -> str:
    try:
        return plain(urlsplit(url or "").hostname or "")
    except ValueError:  # such as http://[
        return ""


def day(at_ms: int, timezone: tzinfo) -> str:
    when = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(timezone)
    return f"{when.day} {when:%B}"


def moment(at_ms: int, timezone: tzinfo) -> str:
    return f"{day(at_ms, timezone)} {clock(at_ms, timezone)}"


def clock(at_ms: int, timezone: tzinfo) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(timezone):%H:%M}"
