"""What a web developer pastes: the tracker's tag, and requests for a shell. On the terminal and on the page of `up`."""

import html
import json
import shlex

from processors.model import ScoringModel
from streams.settings.config import Settings

ANY_KEY = "dev"  # while no write keys are set every key is taken
_EXAMPLE_HOST = "www.example.com"


def write_key(settings: Settings) -> str:
    return settings.write_keys[0].key if settings.write_keys else ANY_KEY


def script_tag(url: str, key: str) -> str:
    """For the head of every page; `url` is the collector's."""
    return f'<script async src="{html.escape(url)}/t.js" data-key="{html.escape(key)}"></script>'


def page_view_line(url: str, key: str, model: ScoringModel) -> str:
    """A shell line: one view of a pricing page on a host that the model scores; the answer says what it fitted."""
    hosts = [host for host in model.site_hosts if "*" not in host]
    page = f"https://{hosts[0] if hosts else _EXAMPLE_HOST}/pricing"
    return _curl(url, key, {"type": "page_view", "anonymous_id": "me", "url": page})


def demo_request_line(url: str, key: str) -> str:
    """A shell line: the same visitor asks for a demo and says who it is, which most models make an alert of."""
    traits = {"email": "ada@bigbank.example", "first_name": "Ada", "title": "CTO"}
    return _curl(url, key, {"type": "form_submitted", "anonymous_id": "me", "asset": "demo", "traits": traits})


def _curl(url: str, key: str, event: dict[str, object]) -> str:
    user = "" if key == ANY_KEY else f" -u {shlex.quote(f'{key}:')}"
    return f"curl{user} -d {shlex.quote(json.dumps(event))} {shlex.quote(f'{url}/v1/events?explain=1')}"
