"""What an act says about the person, and about where the person came from."""

from typing import cast

from processors.model.scalars import number_text
from schemas.records import Campaign, ClickId, Scalar, Text, Touch, TrackedEvent
from schemas.rows import Row

MAX_TRAITS = 64
# In UTF-8, as all that a stranger may put into a row: a row has to stay small whatever is written.
MAX_NAME_BYTES = 64
MAX_VALUE_BYTES = 256  # of a list in all
MAX_LIST_ITEMS = 16
MAX_URL_BYTES = 2048
MAX_CLICK_ID_BYTES = 512
DERIVED = ("email_kind", "email_domain", "phone_kind")


def take_traits(row: Row, event: TrackedEvent, at: int, key: bytes) -> None:
    """The latest by act time wins, then the larger id; an empty value clears. A 65th name is not taken."""
    said = event.get("traits")
    if said is None and event.get("email_kind") is None and event.get("phone_kind") is None:
        return
    for name in DERIVED:
        value = event.get(name)
        if value is not None:
            _take(row, name, value, at, key)  # type: ignore[arg-type]  # TypedDict.get with a variable name is object
    for name, scalar in (said or {}).items():
        if name not in DERIVED:
            _take(row, cut(name, MAX_NAME_BYTES), scalar, at, key)


def _take(row: Row, name: str, value: Scalar, at: int, key: bytes) -> None:
    before = row.traits.get(name)
    if before is None and len(row.traits) >= MAX_TRAITS:
        return
    if before is None or (at, key) > (before[1], before[2]):
        row.traits[name] = (text_of(value), at, key)


def text_of(value: Scalar) -> Text:
    """A value as patterns see it: a number as its shortest text, nothing as empty text."""
    if isinstance(value, list):
        return _cut_list([item.strip() for item in value[:MAX_LIST_ITEMS]])
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_text(value)
    return cut(value.strip(), MAX_VALUE_BYTES)


def _cut_list(items: list[str]) -> list[str]:
    kept, room = [], MAX_VALUE_BYTES
    for item in items:
        kept.append(cut(item, room))
        room -= len(kept[-1].encode())
    return kept


def cut(text: str, most_bytes: int) -> str:
    """The text, or as many of its first characters as fit into so many bytes of UTF-8."""
    if text.isascii():
        return text[:most_bytes]
    return text.encode()[:most_bytes].decode("utf-8", "ignore")


def shown_traits(row: Row) -> dict[str, Text]:
    """What is known now: traits that were not cleared."""
    return {name: value for name, (value, _, _) in row.traits.items() if value}


def take_touch(row: Row, event: TrackedEvent, at: int, key: bytes) -> None:
    """First and last touch: the earliest and the latest act with a UTM value or a click id."""
    campaign, click_id = event.get("campaign"), event.get("click_id")
    if click_id is None and not (campaign and any(campaign.values())):
        return
    source = event.get("source")
    touch = Touch(
        at=at,
        url=_cut(event.get("url"), MAX_URL_BYTES),
        referrer=_cut(event.get("referrer"), MAX_URL_BYTES),
        source=_cut(source["key"], MAX_VALUE_BYTES) if source else None,
        click_id=click_id and _short_click_id(click_id),
        campaign=campaign and _short_campaign(campaign),
    )
    if row.first_touch is None or (at, key) < (row.first_touch[0]["at"], row.first_touch[1]):
        row.first_touch = (touch, key)
    if row.last_touch is None or (at, key) > (row.last_touch[0]["at"], row.last_touch[1]):
        row.last_touch = (touch, key)


def _cut(text: str | None, most_bytes: int) -> str | None:
    return text if text is None else cut(text, most_bytes)


def _short_click_id(click_id: ClickId) -> ClickId:
    return ClickId(kind=cut(click_id["kind"], MAX_NAME_BYTES), value=cut(click_id["value"], MAX_CLICK_ID_BYTES))


def _short_campaign(campaign: Campaign) -> Campaign:
    values = cast("dict[str, str | None]", campaign)
    return cast("Campaign", {name: _cut(value, MAX_VALUE_BYTES) for name, value in values.items()})
