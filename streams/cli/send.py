"""`leadstream send`."""

import json
import uuid
from pathlib import Path
from typing import Any

import click

from sources.times import LATE_MS, parse_time_ms
from streams.cli.exits import FINDING, UNREACHABLE, WRONG_INPUT, CommandError
from streams.cli.lead_text import lead_id, stage_name
from streams.cli.printing import escaped, print_json, when
from streams.cli.services import brokers_of, partition_count, run, settings_of
from streams.settings.config import Settings, topics_of
from streams.trial_event import (
    CollectorAwayError,
    Destination,
    EventRefusedError,
    LateEventError,
    NotScoredError,
    Scored,
    send_event,
)


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--event", metavar="TYPE", help="Type of the event.  [default: page_view]")
@click.option("--url", help="The page it happened on.")
@click.option("--email", help="Who it was: makes the visitor known.")
@click.option("--anonymous-id", metavar="ID", help="Which visitor it was. Default: a new one.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def send(
    context: click.Context,
    file: Path | None,
    *,
    event: str | None,
    url: str | None,
    email: str | None,
    anonymous_id: str | None,
    as_json: bool,
) -> None:
    """Send one test event to the collector; print what it scored.

    FILE holds the event as JSON, by the names of POST /v1/events; the options replace what it says.

    \b
    leadstream send --url https://www.acme.example/pricing --email ada@bigbank.example
    leadstream send --event download --anonymous-id c_81f2

    Exit code 2: the event cannot be used, or is older than 7 days and so never scored; 3: no collector, no broker, or
    nothing scored it in time.
    """
    settings = settings_of(context)
    record = _event(file, {"type": event, "url": url, "anonymous_id": anonymous_id}, email)
    destination = _destination(settings)
    try:
        scored = run(_send(settings, destination, record), settings)
    except _Ended as ended:
        raise ended.error from ended
    if as_json:
        print_json(_as_data(scored))
    else:
        click.echo(_line(scored))


class _Ended(Exception):  # noqa: N818 - carries the error past `run`, which takes any OSError for the broker's
    def __init__(self, error: CommandError) -> None:
        super().__init__(str(error))
        self.error = error


async def _send(settings: Settings, destination: Destination, event: dict[str, Any]) -> Scored:
    brokers = brokers_of(settings)
    partitions = await partition_count(settings)
    try:
        return await send_event(brokers, topics_of(settings), partitions, destination, event)
    except CollectorAwayError as error:
        fix = "start it with `leadstream collector` or `leadstream up`, or set collector.port in leadstream.toml"
        raise _Ended(CommandError(f"the collector at {destination.url} {error}", fix, code=UNREACHABLE)) from error
    except EventRefusedError as error:
        code = FINDING if "bot" in str(error) else WRONG_INPUT
        raise _Ended(CommandError(f"not scored: {escaped(str(error))}", code=code)) from error
    except LateEventError as error:
        raise _Ended(_late(event["occurred_at"])) from error
    except NotScoredError as error:
        raise _Ended(
            CommandError(f"not scored: {error}", "see: leadstream doctor, leadstream worker", code=UNREACHABLE)
        ) from error


def _late(occurred_at: Any) -> CommandError:
    days = LATE_MS // 86_400_000
    return CommandError(
        f"not scored: occurred_at {occurred_at} is {when(parse_time_ms(occurred_at))}, and an act older than {days} days is kept in the log "
        "as late and never scored",
        "leave occurred_at out, and it happens now; `leadstream model explain` shows what an old act would score",
        code=WRONG_INPUT,
    )


def _event(file: Path | None, options: dict[str, str | None], email: str | None) -> dict[str, Any]:
    """The event to send, with an id of its own."""
    event = {} if file is None else _read(file)
    event |= {name: value for name, value in options.items() if value is not None}
    if email is not None:
        event["traits"] = {**(event.get("traits") or {}), "email": email}
    event.setdefault("type", "page_view")
    event.setdefault("event_id", uuid.uuid4().hex)
    if not (event.get("anonymous_id") or event.get("user_id")):
        event["anonymous_id"] = f"test-{uuid.uuid4().hex[:12]}"
    return event


def _read(file: Path) -> dict[str, Any]:
    try:
        event = json.loads(file.read_bytes())
    except OSError as error:
        raise CommandError(f"{file}: cannot be read: {error.strerror}", code=WRONG_INPUT) from error
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{file}: not JSON: {error}", code=WRONG_INPUT) from error
    if not isinstance(event, dict):
        raise CommandError(f"{file}: expected one JSON object, an event", code=WRONG_INPUT)
    return event


def _destination(settings: Settings) -> Destination:
    collector = settings.collector
    host = "127.0.0.1" if collector.host in ("0.0.0.0", "::", "") else collector.host  # noqa: S104 - compared, not bound
    url = collector.public_url.rstrip("/") or f"http://{f'[{host}]' if ':' in host else host}:{collector.port}"
    return Destination(url, settings.write_keys[0].key if settings.write_keys else "")


def _line(scored: Scored) -> str:
    points = ", ".join(f"{escaped(name)} {gained:+.1f}" for name, gained in scored.points.items())
    points = points or "no rule fitted" + (f" ({escaped(scored.hint)})" if scored.hint else "")
    before = 0.0 if scored.before is None else scored.before.price.score
    told = scored.transition
    stage = stage_name(scored.after.snapshot["stage"])
    if told is not None:
        stage = f"{stage_name(told['from_stage'])} -> {stage}"
    alert = "no alert"
    if told is not None and told["alert"] is not None:
        alert = f"alert {told['alert']['route']!r} to {', '.join(told['alert']['send_to'])}"
    return (
        f"accepted {escaped(scored.event_id)} of {lead_id(scored.key)}, scored in {scored.seconds * 1000:.0f} ms: {points}; "
        f"score {before:.1f} -> {scored.after.price.score:.1f}; stage {stage}; {escaped(alert)}"
    )


def _as_data(scored: Scored) -> dict[str, Any]:
    return {
        "event_id": scored.event_id,
        "id": scored.key,
        "partition": scored.partition,
        "offset": scored.offset,
        "milliseconds": round(scored.seconds * 1000, 1),
        "points": dict(scored.points),
        "hint": scored.hint,
        "score_before": None if scored.before is None else scored.before.price.score,
        "score": scored.after.price.score,
        "stage": scored.after.snapshot["stage"],
        "transition": scored.transition,
    }
