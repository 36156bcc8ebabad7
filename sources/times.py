"""When did it happen? Client clocks are wrong; the receiver's is not."""

from datetime import UTC, datetime
from typing import Final

MAX_FUTURE_MS: Final = 5 * 60_000
LATE_MS: Final = 7 * 86_400_000
_SECONDS_BELOW: Final = 100_000_000_000  # as ms this is March 1973: a smaller number counts seconds


def parse_time_ms(value: object) -> int | None:
    """Milliseconds UTC of an ISO 8601 text (without an offset: UTC) or a Unix time in s or ms;
    None for anything else.
    """
    if isinstance(value, str):
        return _parse_iso_ms(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e15 < value < 1e15:
        return None
    return int(value * 1000) if abs(value) < _SECONDS_BELOW else int(value)


def _parse_iso_ms(text: str) -> int | None:
    if len(text) > 64:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    try:
        return round(time.timestamp() * 1000)
    except (OverflowError, ValueError):  # year 1 with an offset
        return None


def occurred_at(said: object, sent: object, received_at: int) -> tuple[int, bool, bool]:
    """When it happened by the receiver's clock, and whether it is late and whether the client's time was cut.

    A client that says when it sent the request lets us take its clock error out: `received - (sent - said)`, as
    Segment's HTTP API does. What is then more than 5 minutes ahead, or cannot be read, happened on receipt.

    Returns:
        (ms UTC, late, clamped)
    """
    if said is None:
        return received_at, False, False
    at, sent_at = parse_time_ms(said), parse_time_ms(sent)
    if at is not None and sent_at is not None:
        at = received_at - (sent_at - at)
    if at is None or at > received_at + MAX_FUTURE_MS:
        return received_at, False, True
    return at, at < received_at - LATE_MS, False
