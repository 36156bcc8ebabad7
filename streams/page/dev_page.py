"""The page at `/` of the collector in `up` and `demo`: what to paste, and the last requests with what each scored.

It shows personal data, so it answers only to a loopback `Host`: a page elsewhere whose name was made to point here
(DNS rebinding) learns nothing. What comes from outside reaches the browser as JSON and is shown as text.
"""

import hashlib
import html
import json
import re
from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from importlib import resources
from string import Template
from typing import Any, Final, TypedDict

from aiohttp import web
from yarl import URL

from processors.model import ScoringModel
from sources.http.requests import EVENTS_PATH, SEGMENT_PATHS
from streams.page.recent_requests import RecentRequests, ShownRequest
from streams.page.snippets import demo_request_line, page_view_line, script_tag, write_key
from streams.settings.config import Settings

REQUESTS_PATH: Final = "/dev/requests"
_RECEIVING: Final = frozenset((*SEGMENT_PATHS, EVENTS_PATH))
_LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class LeadNow(TypedDict):
    who: str  # the e-mail address, empty while it is not known
    score: float
    stage: str
    grade: str


LeadsNow = Callable[[Sequence[str]], Awaitable[dict[str, LeadNow]]]
"""Lead keys -> those that were scored already, priced now."""


class DevPage:
    """`model` gives the model in force, None until it is known; `leads_now` says what became of the leads."""

    def __init__(
        self,
        settings: Settings,
        requests: RecentRequests,
        model: Callable[[], ScoringModel | None],
        leads_now: LeadsNow,
    ) -> None:
        self._url = f"http://{settings.collector.host}:{settings.collector.port}"
        self._key = write_key(settings)
        self._requests = requests
        self._model = model
        self._leads_now = leads_now
        self._template = resources.files("streams.page").joinpath("dev_page.html").read_text("utf-8")
        self._headers = {
            "Content-Security-Policy": _policy(self._template),
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }

    def add_to(self, app: web.Application) -> None:
        """Before the app is started."""
        app.router.add_get("/", self._serve_page)
        app.router.add_get(REQUESTS_PATH, self._serve_requests)
        app.middlewares.insert(0, self._watch_refusals)

    @web.middleware
    async def _watch_refusals(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        response = await handler(request)
        if request.path in _RECEIVING and isinstance(response, web.Response):
            for why in _refusals(response):
                where = request.headers.get("Origin") or f"from {request.remote}"
                self._requests.refuse(f"{request.method} {request.path}", where, why)
        return response

    async def _serve_page(self, request: web.Request) -> web.Response:
        if not _is_loopback(request):
            return _refuse(self._url)
        model = self._model()
        words = {
            "tag": script_tag(self._url, self._key),
            "page_view": page_view_line(self._url, self._key, model) if model else "",
            "demo_request": demo_request_line(self._url, self._key),
        }
        text = Template(self._template).substitute({name: html.escape(word) for name, word in words.items()})
        return web.Response(text=text, content_type="text/html", headers=self._headers)

    async def _serve_requests(self, request: web.Request) -> web.Response:
        if not _is_loopback(request):
            return _refuse(self._url)
        model = self._model()
        shown = self._requests.shown(model)
        body = {
            "total": self._requests.total,
            "model": None if model is None else _about(model),
            "curl": "" if model is None else page_view_line(self._url, self._key, model),
            "requests": shown,
            "leads": await self._leads_now(_keys(shown)),
        }
        # Escaped to ASCII: an id may hold what UTF-8 cannot say.
        return web.Response(text=json.dumps(body), content_type="application/json", headers=self._headers)


def _about(model: ScoringModel) -> dict[str, Any]:
    return {
        "name": f"{model.name}@{model.version}",
        "rules": len(model.rules),
        "hosts": list(model.site_hosts),
    }


def _keys(shown: list[ShownRequest]) -> list[str]:
    return sorted({each["lead_key"] for each in shown if each["lead_key"]})


def _refusals(response: web.Response) -> list[str]:
    """What the collector's answer says was not taken: items by themselves, else the request."""
    try:
        answer = json.loads(response.text or "")
    except ValueError:
        return []
    items = [item["detail"] for item in answer.get("items", ()) if item.get("status") == "rejected"]
    if items:
        return items
    return [f"{response.status}: {answer['error']}"] if response.status >= 400 and "error" in answer else []


def _is_loopback(request: web.Request) -> bool:
    try:
        host = URL(f"http://{request.host}").host
    except ValueError:
        return False
    return host in _LOOPBACK_HOSTS


def _refuse(url: str) -> web.Response:
    return web.Response(status=403, text=f"This page shows personal data. Open it on this machine: {url}/\n")


def _policy(page: str) -> str:
    """Only the page's own inline script and style, by their hashes; nothing from anywhere else."""

    def hashes(tag: str) -> str:
        blocks = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        return " ".join(f"'sha256-{b64encode(hashlib.sha256(each.encode()).digest()).decode()}'" for each in blocks)

    return (
        f"default-src 'none'; script-src {hashes('script')}; style-src {hashes('style')}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
