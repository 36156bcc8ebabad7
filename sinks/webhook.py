"""The sink `webhook`: each transition as one signed POST, after Standard Webhooks 1.0.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
At least once, with the transition's id as `webhook-id` over all attempts; the receiver drops what it has seen.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from aiohttp.abc import AbstractResolver
from aiohttp.resolver import ThreadedResolver
from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

from schemas.records import StageTransition
from sinks.base import Delivery, Input, RetryLater, Undeliverable
from sinks.config import WebhookSettings
from sinks.egress import CheckedResolver, EgressRefusedError, check_url
from sinks.webhook_body import webhook_body

GONE = 410
GONE_SECONDS = 3600.0
MAX_RETRY_AFTER_SECONDS = 3600.0
RETRIED = frozenset({408, 425, 429})  # and every 5xx
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")  # the id is signed as `id.timestamp.body`, so it holds no dot


def retry_after_seconds(header: str | None, now_ms: int) -> float | None:
    """The wait that `Retry-After` asks for, in seconds or as an HTTP date; None if it says nothing usable."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return min(float(header), MAX_RETRY_AFTER_SECONDS)
    try:
        until = parsedate_to_datetime(header)
    except ValueError:
        return None
    return min(max(until.replace(tzinfo=UTC).timestamp() - now_ms / 1000, 0.0), MAX_RETRY_AFTER_SECONDS)


class WebhookSink:
    """Sends what it is given in order. `now_ms` is real time: receivers refuse old timestamps.

    Raises:
        ValueError: the URL or a secret of the settings cannot be used.
    """

    inputs: frozenset[Input] = frozenset({"transitions"})

    def __init__(
        self, settings: WebhookSettings, now_ms: Callable[[], int], resolver: AbstractResolver | None = None
    ) -> None:
        check_url(settings.url, allow_private=settings.allow_private)
        self._settings = settings
        self._now_ms = now_ms
        self._resolver = resolver
        self._signers = [_signer(secret) for secret in settings.secrets]
        self._host = urlsplit(settings.url).hostname or ""
        self._session: ClientSession | None = None
        self._gone = False

    async def open(self) -> None:
        resolver = CheckedResolver(self._resolver or ThreadedResolver(), allow_private=self._settings.allow_private)
        # No DNS cache: every dial is checked. No cookies and no proxy from the environment.
        self._session = ClientSession(
            connector=TCPConnector(resolver=resolver, use_dns_cache=False, limit=1),
            timeout=ClientTimeout(total=self._settings.timeout_seconds),
            cookie_jar=DummyCookieJar(),
        )

    async def deliver(self, batch: Sequence[Delivery]) -> None:
        for done, each in enumerate(batch):
            if self._gone:
                raise RetryLater(self._gone_text(), GONE_SECONDS, done)
            if each.kind == "StageTransition" and each.record is not None:
                await self._post(each.record, done)  # type: ignore[arg-type]  # `kind` says which record it is

    async def _post(self, transition: StageTransition, done: int) -> None:
        body = webhook_body(transition)
        if not _ID.fullmatch(transition["id"]):
            raise Undeliverable("the transition id is not made of letters, digits, - and _", done)
        if body is None:
            raise Undeliverable("the body would be 20 kB or more even when cut", done)
        assert self._session is not None, "open() comes first"
        try:
            async with self._session.post(
                self._settings.url, data=body, headers=self._headers(transition["id"], body), allow_redirects=False
            ) as response:
                self._judge(response.status, response.headers.get("Retry-After"), done)
        except EgressRefusedError as error:
            raise RetryLater(str(error), done=done) from error
        except (ClientError, TimeoutError) as error:
            if (refused := _refused(error)) is not None:
                raise RetryLater(str(refused), done=done) from error
            # The text of the error may quote the URL; its type and the host say enough.
            raise RetryLater(f"{self._host}: {type(error).__name__}", done=done) from error

    def _headers(self, id_: str, body: bytes) -> dict[str, str]:
        at = datetime.fromtimestamp(self._now_ms() // 1000, UTC)
        return {
            "content-type": "application/json",
            "user-agent": "leadstream-webhook/1",
            "webhook-id": id_,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": " ".join(signer.sign(id_, at, body.decode()) for signer in self._signers),
        }

    def _judge(self, status: int, retry_after: str | None, done: int) -> None:
        if 200 <= status < 300:
            return
        if status == GONE:
            self._gone = True
            raise Undeliverable(f"{self._host} answered 410 Gone; no more calls until a restart", done)
        if status in RETRIED or status >= 500:
            seconds = retry_after_seconds(retry_after, self._now_ms())
            raise RetryLater(f"{self._host} answered {status}", seconds, done)
        raise Undeliverable(f"{self._host} answered {status}", done)

    async def healthy(self) -> str | None:
        return self._gone_text() if self._gone else None

    def _gone_text(self) -> str:
        return f"{self._host} answered 410 Gone. Nothing is sent any more; set its new URL and restart the sink."

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def _signer(secret: str) -> Webhook:
    try:
        return Webhook(secret)
    except (ValueError, EmptyWebhookSecretError) as error:
        # `from None`: the library's error may quote the secret.
        raise ValueError(f"webhook: a secret is not whsec_ and base64 ({type(error).__name__})") from None


def _refused(error: BaseException | None) -> EgressRefusedError | None:
    """What a resolver of ours raised: the HTTP client wraps it."""
    while error is not None and not isinstance(error, EgressRefusedError):
        error = error.__cause__ or error.__context__
    return error
