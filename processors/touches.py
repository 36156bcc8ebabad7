"""Where a lead came from: the earliest and the latest act with a UTM value or a click id."""

from typing import cast

from processors.take_traits import MAX_NAME_BYTES, MAX_VALUE_BYTES, cut
from schemas.records import Campaign, Touch, TrackedEvent
from schemas.rows import KeptTouch, Row

MAX_URL_BYTES = 2048  # in UTF-8, as all that a stranger may put into a row
MAX_CLICK_ID_BYTES = 512
_CAMPAIGN = tuple(Campaign.__annotations__)


def take_touch(row: Row, event: TrackedEvent, at: int, id8: bytes) -> None:
    """First and last go by act time, then by id."""
    campaign, click_id = event.get("campaign"), event.get("click_id")
    if click_id is None and not (campaign and any(campaign.values())):
        return
    first, last = row.first_touch, row.last_touch
    is_first = first is None or (at, id8) < (first.at, first.id8)
    is_last = last is None or (at, id8) > (last.at, last.id8)
    if is_first or is_last:
        touch = _kept(event, at, id8)
        row.first_touch, row.last_touch = touch if is_first else first, touch if is_last else last


def _kept(event: TrackedEvent, at: int, id8: bytes) -> KeptTouch:
    campaign, click_id, source = event.get("campaign"), event.get("click_id"), event.get("source")
    values = cast("dict[str, str | None]", campaign or {})
    return KeptTouch(
        at=at,
        id8=id8,
        url=_cut(event.get("url"), MAX_URL_BYTES),
        referrer=_cut(event.get("referrer"), MAX_URL_BYTES),
        source=_cut(source["key"], MAX_VALUE_BYTES) if source else None,
        click_id=click_id and (cut(click_id["kind"], MAX_NAME_BYTES), cut(click_id["value"], MAX_CLICK_ID_BYTES)),
        campaign=tuple([_cut(values.get(name), MAX_VALUE_BYTES) for name in _CAMPAIGN]) if values else None,
    )


def _cut(text: str | None, most_bytes: int) -> str | None:
    return text if text is None else cut(text, most_bytes)


def touch_of(kept: KeptTouch | None) -> Touch | None:
    """A kept touch as records and conditions know it."""
    if kept is None:
        return None
    return {
        "at": kept.at,
        "url": kept.url,
        "referrer": kept.referrer,
        "source": kept.source,
        "click_id": kept.click_id and {"kind": kept.click_id[0], "value": kept.click_id[1]},
        "campaign": cast("Campaign", dict(zip(_CAMPAIGN, kept.campaign, strict=True))) if kept.campaign else None,
    }


def kept_touch(touch: Touch | None) -> KeptTouch | None:
    """The touch of a snapshot, which does not know the act."""
    if touch is None:
        return None
    click_id, campaign = touch["click_id"], cast("dict[str, str | None] | None", touch["campaign"])
    return KeptTouch(
        at=touch["at"],
        id8=b"",
        url=touch["url"],
        referrer=touch["referrer"],
        source=touch["source"],
        click_id=click_id and (click_id["kind"], click_id["value"]),
        campaign=tuple(campaign.values()) if campaign else None,
    )
