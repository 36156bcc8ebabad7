"""Times as people write and read them: ISO 8601, in the local zone where no offset is said."""

from datetime import UTC, datetime, timedelta

import click

from processors.model.scalars import WrongValueError, duration, duration_text
from streams.cli.printing import plural


class Time(click.ParamType):
    name = "TIME"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return round(datetime.fromisoformat(value).astimezone().timestamp() * 1000)
        except ValueError:
            self.fail(
                f"{value!r} is no time. Write 2026-03-02, 2026-03-02T09:00 or 2026-03-02T09:00+01:00.", param, ctx
            )


class Span(click.ParamType):
    """Milliseconds."""

    name = "TIME"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if not isinstance(value, str):
            return round(value)
        try:
            return round(duration(least_ms=1000.0, never=False)(value))
        except WrongValueError as error:
            self.fail(str(error), param, ctx)


def shown_span(span_ms: int) -> str:
    """`30 days`, or `12h` where it is no whole number of days."""
    text = duration_text(span_ms)
    return plural(int(text[:-1]), "day") if text.endswith("d") and "." not in text else text


def shown_time(at_ms: int) -> str:
    """`2 March 2026 09:00 +01:00`, in the local zone."""
    at = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).astimezone()
    offset = at.strftime("%z")
    return f"{at.day} {at:%B %Y %H:%M} {offset[:3]}:{offset[3:]}"
