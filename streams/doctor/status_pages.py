"""The parts by their /readyz, as far as the settings say where that is."""

from collections.abc import Iterator
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, ContentTypeError

from streams.finding import Finding
from streams.settings.config import Settings
from streams.unreachable import why_unreachable

_SECONDS = 5.0
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - what a part listens on, not we
_MOST_CHARACTERS = 200


async def check_status_pages(settings: Settings) -> list[Finding]:
    """A line for the collector, and for worker and sinks where a port is set."""
    findings = []
    async with ClientSession(timeout=ClientTimeout(total=_SECONDS)) as session:
        for name, command, host, port in _pages(settings):
            address = _ANY.get(host, host)
            url = f"http://{f'[{address}]' if ':' in address else address}:{port}"
            findings.append(await _ask(session, name, command, url))
    return findings


def _pages(settings: Settings) -> Iterator[tuple[str, str, str, int]]:
    if settings.collector.port:
        yield "collector", "leadstream collector", settings.collector.host, settings.collector.port
    if settings.worker.status_port:
        yield "worker", "leadstream worker", settings.worker.status_host, settings.worker.status_port
    if settings.sinks.status_port:
        yield "sink", "leadstream sink NAME", settings.sinks.status_host, settings.sinks.status_port


async def _ask(session: ClientSession, name: str, command: str, url: str) -> Finding:
    try:
        async with session.get(f"{url}/readyz", allow_redirects=False) as response:
            status, body = response.status, await response.json()
    except (ContentTypeError, ValueError):
        status, body = 0, None
    except (ClientError, OSError) as error:
        what = f"{name}: {url} does not answer ({why_unreachable(error)})"
        return Finding("warn", what, f"start it: {command}; where it runs elsewhere, run this there")
    if not isinstance(body, dict):
        return Finding("warn", f"{name}: something else answers at {url}", f"another port for {command}")
    if status == 200 and body.get("status") == "spooling":
        return Finding("warn", f"{name}: {url} spools: the brokers do not take its records", "look at the brokers")
    if status == 200:
        return Finding("ok", f"{name}: {url} is ready")
    return Finding("fail", f"{name}: {url} is not ready: {_why(body)}", "see its log")


def _why(body: Any) -> str:
    problems = body.get("problems") or {"": body.get("status", "it does not say why")}
    return "; ".join(f"{name} {said}".strip() for name, said in problems.items())[:_MOST_CHARACTERS]
