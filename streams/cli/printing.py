"""How commands print: times, JSON, and text from outside without control characters."""

import json
import unicodedata
from datetime import UTC, datetime
from typing import Any

import click

_LINE_ENDS = frozenset({"Zl", "Zp"})


def escaped(text: str) -> str:
    """`text` with every character that a terminal would obey, or that would end the line, as an escape."""
    return "".join(
        ascii(each)[1:-1] if unicodedata.category(each)[0] == "C" or unicodedata.category(each) in _LINE_ENDS else each
        for each in text
    )


def shown_bytes(data: bytes | None) -> str:
    """Bytes for people: as text where they are UTF-8."""
    return "(none)" if data is None else escaped(data.decode("utf-8", "backslashreplace"))


def when(at_ms: int | None) -> str:
    """`2 March 2026 09:00:05 +01:00`, in the zone of this machine."""
    if at_ms is None:
        return "never"
    try:
        local = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone()
    except (ValueError, OverflowError, OSError):
        return f"{at_ms} ms"
    offset = local.strftime("%z")
    return f"{local.day} {local:%B %Y %H:%M:%S} {offset[:3]}:{offset[3:5]}"


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, default=_as_text, ensure_ascii=True))


def _as_text(value: object) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
