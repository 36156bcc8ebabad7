"""A transition as the JSON body of a webhook: always the same bytes, under 20 kB. Pure."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from schemas.records import StageTransition

# https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#payload-size
MAX_BODY_BYTES = 20_000
EVENT_TYPE = "lead.stage_changed"
_INNER = ("alert",)  # whom our model tells is no business of the receiver
# Receipt lines kept and characters of a text kept, tried in this order until the body fits.
_CUTS = ((500, 2048), (40, 512), (15, 256), (5, 128))


def webhook_body(transition: StageTransition) -> bytes | None:
    """`{"type", "timestamp", "data"}`; None if it does not fit even when cut.

    What was cut shows: `data.receipt_lines_left_out`, and a text that was cut ends in `…`.
    """
    for lines, characters in _CUTS:
        body = json.dumps(_envelope(transition, lines, characters), ensure_ascii=False, separators=(",", ":"))
        data = body.encode("utf-8", "replace")
        if len(data) < MAX_BODY_BYTES:
            return data
    return None


def _envelope(transition: StageTransition, lines: int, characters: int) -> dict[str, Any]:
    data = {name: value for name, value in transition.items() if name not in _INNER}
    largest = sorted(transition["receipt"], key=lambda part: -abs(part["points"]))[:lines]
    data["receipt"] = [part for part in transition["receipt"] if part in largest]
    data["receipt_lines_left_out"] = len(transition["receipt"]) - len(largest)
    when = datetime.fromtimestamp(transition["at"] / 1000, UTC).isoformat().replace("+00:00", "Z")
    return {"type": EVENT_TYPE, "timestamp": when, "data": _cut(data, characters)}


def _cut(value: Any, characters: int) -> Any:
    if isinstance(value, str) and len(value) > characters:
        return value[: characters - 1] + "…"
    if isinstance(value, Mapping):
        return {name: _cut(each, characters) for name, each in value.items()}
    if isinstance(value, list):
        return [_cut(each, characters) for each in value]
    return value
