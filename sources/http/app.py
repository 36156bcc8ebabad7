"""The collector: HTTP in, acknowledged records out. 2xx means that the brokers, or the spool, hold every record of the
request.
"""

import asyncio
from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Any, Final

from aiohttp import web

from schemas.metrics import Metrics
from schemas.records import TrackedEvent
from sources.base import BrokerUnavailableError, EventProducer, OutgoingRecord
from sources.client_address import client_ip
from sources.completion import Completion
from sources.config import CollectorSettings, Limits
from sources.http import answers
from sources.http.cors import Origins, answer_headers, preflight_headers
from sources.http.rate_limits import EVERYBODY, RateLimits, TooMany
from sources.http.reading import BodyReader, BodyTooLargeError, TooMuchAtOnceError
from sources.http.records import records_of
from sources.http.requests import (
    EVENTS_PATH,
    KEPT_HEADERS,
    SEGMENT_PATHS,
    CollectorRequest,
    Read,
    Refused,
    key_beside_body,
    read_request,
)
from sources.outcomes import Accepted
from sources.spool.spool import SpoolStatus

SENT_AT_HEADER: Final = "X-Leadstream-Sent-At"  # ms UTC at the client; copied, for measuring latency
LONG_BODY_BYTES: Final = 16_384
OnEvent = Callable[[TrackedEvent, bytes], None]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Collector:
    """Routes and their handlers. `explain` says which rules an event fits, `on_event` hears of every acknowledged
    event, `metrics_page` gives the text of /metrics, `spool` tells what is spooled, where there is a spool.
    """

    def __init__(
        self,
        settings: CollectorSettings,
        producer: EventProducer,
        *,
        now_ms: Callable[[], int],
        metrics: Metrics,
        metrics_page: Callable[[], bytes],
        explain: answers.Explain | None = None,
        on_event: OnEvent | None = None,
        spool: Callable[[], SpoolStatus] | None = None,
    ) -> None:
        self._settings = settings
        self._producer = producer
        self._now_ms = now_ms
        self._metrics = metrics
        self._metrics_page = metrics_page
        self._explain = explain
        self._on_event = on_event
        self._spool = spool
        self._completion = Completion(settings.secret)
        self._origins = Origins(settings.origins, allow_loopback=settings.allow_loopback_origins)
        self._proxies = settings.proxy_networks()
        self._tracker = resources.files("sources.http").joinpath("static", "t.js").read_bytes()
        self._rates = RateLimits(
            settings.limits.requests_per_second_per_key, settings.limits.events_per_second_per_visitor
        )
        self._bodies = BodyReader(settings.limits)
        self._in_flight = 0
        self._draining = False

    @property
    def limits(self) -> Limits:
        return self._settings.limits

    def connection_refused(self) -> None:
        """There are as many connections as may be."""
        self._metrics.count("leadstream_collector_connections_refused_total")

    def app(self) -> web.Application:
        """To be run by `sources.http.server`, which leaves bodies packed: this code bounds their unpacking itself."""
        app = web.Application(
            middlewares=[self._count, self._check_origin],
        )
        for path in (*SEGMENT_PATHS, EVENTS_PATH):
            app.router.add_post(path, self._receive)
        app.router.add_get("/t.js", self._serve_tracker)
        app.router.add_get("/health", self._health)
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._serve_metrics)
        return app

    def drain(self) -> None:
        """From now on /readyz fails; requests are still served."""
        self._draining = True

    # Middlewares, outermost first. aiohttp passes the second argument by the name `handler`.

    @web.middleware
    async def _count(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        status = 500
        try:
            response = await handler(request)
            status = response.status
        except web.HTTPException as error:
            status = error.status
            raise
        finally:
            self._metrics.count("leadstream_collector_requests_total", route=_route(request), status=str(status))
        return response

    @web.middleware
    async def _check_origin(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if origin is None or request.path not in _RECEIVING:
            return await handler(request)
        if not self._origins.allows(origin, request.host):
            response: web.StreamResponse = answers.error(403, "origin", self._origins.refused(origin))
            response.headers["Vary"] = "Origin"
            return response
        if request.method == "OPTIONS":
            response = web.Response(status=204, headers=preflight_headers(request.headers))
        else:
            response = await handler(request)
        response.headers.update(answer_headers(origin))
        response.headers["Vary"] = "Origin"
        return response

    # Events in

    async def _receive(self, request: web.Request) -> web.Response:
        started = asyncio.get_running_loop().time()
        key_name = self._known_key(request)
        if key_name is not None and (too_many := self._rates.of_key(key_name, started)):
            return self._refuse(too_many)  # before the body is read: a flood must cost little
        try:
            body = await self._bodies.read(request.content)
        except BodyTooLargeError:
            return self._too_large()
        except TooMuchAtOnceError:
            return answers.unavailable("too many bodies are just being read")
        except TimeoutError:
            return answers.error(408, "timeout", "the body did not arrive in time")
        # Counted from here on: a client that is slow to send takes no place of others.
        if self._in_flight >= self._settings.limits.requests_in_flight:
            return answers.unavailable("too many requests wait for the broker")
        self._in_flight += 1
        try:
            return await self._take(request, body, started, counted=key_name is not None)
        finally:
            self._in_flight -= 1

    async def _take(self, request: web.Request, body: bytes, started: float, *, counted: bool) -> web.Response:
        asked = self._request(request, body)
        # What takes more than a few milliseconds runs beside the event loop, so that a big batch delays nobody else.
        read, records = await asyncio.to_thread(self._read, asked) if len(body) > LONG_BODY_BYTES else self._read(asked)
        if (too_many := self._over_limit(read, asked, counted=counted)) is not None:
            return self._refuse(too_many)
        try:
            if records:
                await self._producer.send(records)
        except BrokerUnavailableError as error:
            self._metrics.count("leadstream_collector_events_total", len(records), outcome="unacknowledged")
            return answers.unavailable(f"the records are not kept, send them again: {error}")
        self._metrics.observe("leadstream_collector_ack_seconds", asyncio.get_running_loop().time() - started)
        return self._answer(request, read)

    def _read(self, asked: CollectorRequest) -> tuple[Read | Refused, list[OutgoingRecord]]:
        read = read_request(asked, self._settings, self._completion)
        return read, records_of(read, asked, self._settings)

    def _answer(self, request: web.Request, read: Read | Refused) -> web.Response:
        if isinstance(read, Refused):
            self._metrics.count("leadstream_collector_events_total", outcome=read.reason)
            return answers.refusal(read)
        self._note(read)
        if request.path == EVENTS_PATH:
            explained = request.query.get("explain") in ("1", "true")
            return answers.events_answer(read.outcomes, self._explain, explained=explained)
        return answers.segment_answer(read.outcomes)

    def _note(self, read: Read) -> None:
        for outcome in read.outcomes:
            if not isinstance(outcome, Accepted):
                self._metrics.count("leadstream_collector_events_total", outcome=outcome.reason)
                continue
            self._metrics.count("leadstream_collector_events_total", outcome="accepted")
            if outcome.cut:
                self._metrics.count("leadstream_collector_values_cut_total", outcome.cut)
            if self._on_event is not None:
                self._on_event(outcome.event, outcome.key)

    def _request(self, request: web.Request, body: bytes) -> CollectorRequest:
        headers = request.headers
        return CollectorRequest(
            path=request.path,
            body=body,
            received_at=self._now_ms(),
            ip=client_ip(request.remote, headers.get("X-Forwarded-For"), self._proxies),
            user_agent=headers.get("User-Agent"),
            authorization=headers.get("Authorization"),
            query=request.query,
            sent_at=headers.get(SENT_AT_HEADER),
            kept_headers={name: headers[name] for name in KEPT_HEADERS if name in headers},
        )

    def _known_key(self, request: web.Request) -> str | None:
        """The name under which the request counts; None while only the body can tell."""
        if not self._settings.write_keys:
            return EVERYBODY
        key = key_beside_body(request.headers.get("Authorization"), request.query, self._settings)
        return None if key is None else key.name

    def _over_limit(self, read: Read | Refused, asked: CollectorRequest, *, counted: bool) -> TooMany | None:
        now = asyncio.get_running_loop().time()
        if not counted and read.write_key_name is not None:
            too_many = self._rates.of_key(read.write_key_name, now)
            if too_many is not None:
                return too_many
        return self._rates.of_visitors(read, asked.ip, now)

    def _refuse(self, too_many: TooMany) -> web.Response:
        self._metrics.count("leadstream_collector_rate_limited_total", limit=too_many.limit)
        return answers.too_many(too_many.limit, too_many.wait_seconds)

    def _too_large(self) -> web.Response:
        self._metrics.count("leadstream_collector_events_total", outcome="too_large")
        limit = f"{self._settings.limits.body_bytes:,}"
        return answers.error(413, "too_large", f"the body has more than {limit} bytes; send smaller batches")

    # The rest

    async def _serve_tracker(self, _request: web.Request) -> web.Response:
        headers = {"Cache-Control": "public, max-age=3600", "Cross-Origin-Resource-Policy": "cross-origin"}
        return web.Response(body=self._tracker, content_type="text/javascript", charset="utf-8", headers=headers)

    def _state(self) -> str:
        if self._draining:
            return "draining"
        if not self._producer.ready():
            return "broker_away"
        return "spooling" if self._spool is not None and self._spool().records else "ok"

    async def _health(self, _request: web.Request) -> web.Response:
        body: dict[str, Any] = {"status": self._state()}
        if self._spool is not None:
            status = self._spool()
            oldest = 0 if status.oldest_ms is None else self._now_ms() - status.oldest_ms
            body["spool"] = {"records": status.records, "bytes": status.bytes, "oldest_age_seconds": oldest // 1000}
        return answers.answer(body)

    async def _livez(self, _request: web.Request) -> web.Response:
        return answers.answer({"status": "ok"})

    async def _readyz(self, _request: web.Request) -> web.Response:
        state = self._state()
        return answers.answer({"status": state}, status=200 if state in ("ok", "spooling") else 503)

    async def _serve_metrics(self, _request: web.Request) -> web.Response:
        return web.Response(
            body=self._metrics_page(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )


_RECEIVING: Final = frozenset((*SEGMENT_PATHS, EVENTS_PATH))


def _route(request: web.Request) -> str:
    """The route, not the path: a label must not grow with what visitors ask for."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "other"
