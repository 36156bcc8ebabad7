"""The webhook's address up to the TLS handshake. No request is sent, so nobody is told anything."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from sinks.config import WebhookSettings
from sinks.egress import CheckedResolver, EgressRefusedError
from sinks.webhook import WebhookSink
from streams.finding import Finding
from streams.settings.config import Webhook
from streams.unreachable import why_unreachable

_SECONDS = 10.0
_SOON_DAYS = 14.0
_DAY_SECONDS = 86_400.0


async def check_webhook(
    webhook: Webhook, now_ms: Callable[[], int], resolver: AbstractResolver | None = None
) -> list[Finding]:
    """Nothing to say where no URL is set. Says the host, never the path: it may hold a token."""
    if not webhook.url:
        return []
    try:  # the sink's own checks of URL and secrets
        WebhookSink(
            WebhookSettings(webhook.url, tuple(webhook.secret.split()), allow_private=webhook.allow_private), now_ms
        )
    except ValueError as error:
        return [Finding("fail", f"webhook: {str(error).removeprefix('webhook: ')}", "webhook.url and webhook.secret")]
    parts = urlsplit(webhook.url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    try:
        async with asyncio.timeout(_SECONDS):
            checked = CheckedResolver(resolver or ThreadedResolver(), allow_private=webhook.allow_private)
            found = await checked.resolve(host, port, socket.AF_UNSPEC)
            days = await _shake_hands(found, host, port, secure=secure, now_ms=now_ms)
    except EgressRefusedError as error:
        return [
            Finding("fail", f"webhook: {error}", "a public address, or webhook.allow_private = true if it is meant")
        ]
    except ssl.SSLError as error:
        why = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else error.reason
        return [Finding("fail", f"webhook: {host}:{port} fails at TLS: {why}", "the certificate of the receiver")]
    except socket.gaierror as error:
        return [
            Finding("fail", f"webhook: {host} has no address: {error.strerror}", "webhook.url, or the DNS", away=True)
        ]
    except OSError as error:
        what = f"webhook: {host}:{port} does not answer ({why_unreachable(error)})"
        return [Finding("fail", what, "start the receiver, or set webhook.url", away=True)]
    if days is None:
        return [
            Finding("warn", f"webhook: {host}:{port} answers, without TLS: everybody on the way can read it", "https")
        ]
    if days < _SOON_DAYS:
        return [Finding("warn", f"webhook: the certificate of {host} ends in {days:.0f} days", "renew it")]
    return [
        Finding("ok", f"webhook: {host}:{port} answers, its certificate is good for {days:.0f} days; nothing was sent")
    ]


async def _shake_hands(
    found: list[ResolveResult], host: str, port: int, *, secure: bool, now_ms: Callable[[], int]
) -> float | None:
    """Connect to the first of the addresses that were checked; the days that its certificate has left, None without TLS.

    Raises:
        OSError: also of TLS.
    """
    context = ssl.create_default_context() if secure else None
    _, writer = await asyncio.open_connection(
        found[0]["host"], port, ssl=context, server_hostname=host if secure else None
    )
    try:
        certificate = writer.get_extra_info("peercert")
        if not certificate:
            return None
        return (ssl.cert_time_to_seconds(certificate["notAfter"]) - now_ms() / 1000) / _DAY_SECONDS
    finally:
        writer.transport.abort()
