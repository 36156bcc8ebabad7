import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from streams.clock import SystemClock
from streams.doctor.webhook import check_webhook
from streams.embedded.process import free_port
from streams.finding import Finding
from streams.settings.config import Webhook
from tests.kafka.secured import Authority, require_openssl
from tests.sinks.test_egress import Answers

SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLw=="
DAY_MS = 86_400_000
Clock = Callable[[], int]


async def look(
    url: str, resolver: AbstractResolver | None = None, *, private: bool = True, now_ms: Clock | None = None
) -> Finding:
    webhook = Webhook(url=url, secret=SECRET, allow_private=private)
    [finding] = await check_webhook(webhook, now_ms or SystemClock().now_ms, resolver)
    assert "t0ken" not in str(finding)
    assert SECRET not in str(finding)
    return finding


@asynccontextmanager
async def receiver(context: ssl.SSLContext | None = None) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Its port, and what each connection has sent."""
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            heard.append(await reader.read())
        except OSError:
            heard.append(b"")
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1], heard
    finally:
        server.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    require_openssl()
    return Authority.make(tmp_path / "ca")


@pytest.fixture
def tls(authority: Authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.sign("receiver"))
    return context


async def test_without_a_url_there_is_nothing_to_say() -> None:
    assert await check_webhook(Webhook(), SystemClock().now_ms) == []


async def test_it_goes_as_far_as_the_handshake_and_sends_nothing(
    authority: Authority, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
    async with receiver(tls) as (port, heard):
        url = f"https://127.0.0.1:{port}/t0ken"
        near_its_end = await look(url)
        well = await look(url, now_ms=lambda: SystemClock().now_ms() - 98 * DAY_MS)
    assert (near_its_end.level, near_its_end.what) == ("warn", "webhook: the certificate of 127.0.0.1 ends in 2 days")
    assert well == Finding(
        "ok", f"webhook: 127.0.0.1:{port} answers, its certificate is good for 100 days; nothing was sent"
    )
    assert not any(heard)


async def test_a_certificate_that_is_not_trusted_is_a_failure(tls: ssl.SSLContext) -> None:
    async with receiver(tls) as (port, _):
        finding = await look(f"https://127.0.0.1:{port}/t0ken")
    assert (finding.level, finding.away, "fails at TLS: " in finding.what) == ("fail", False, True)


async def test_without_tls_it_is_a_warning_and_where_tls_is_wanted_a_failure() -> None:
    async with receiver() as (port, heard):
        plain = await look(f"http://127.0.0.1:{port}/t0ken")
        assert (plain.level, "without TLS" in plain.what) == ("warn", True)
        assert not any(heard)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        answers_in_clear = asyncio.create_task(_answer(deaf))
        finding = await look(f"https://127.0.0.1:{deaf.getsockname()[1]}/t0ken")
        await answers_in_clear
    assert (finding.level, "fails at TLS: WRONG_VERSION_NUMBER" in finding.what) == ("fail", True), finding


async def _answer(server: socket.socket) -> None:
    server.setblocking(False)
    connection, _ = await asyncio.get_running_loop().sock_accept(server)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    connection.close()


async def test_an_address_that_is_not_allowed_is_never_dialled() -> None:
    finding = await look("https://hooks.acme.example/t0ken", Answers(["10.0.0.1"]), private=False)
    assert (finding.level, finding.away) == ("fail", False)
    assert finding.what.startswith("webhook: hooks.acme.example resolves to 10.0.0.1: private")
    for url in ("http://hooks.acme.example/t0ken", "https://127.0.0.1/t0ken"):
        assert (await look(url, private=False)).level == "fail"


class NoSuchName(AbstractResolver):
    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[ResolveResult]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def close(self) -> None: ...


async def test_a_host_without_an_address_and_a_port_without_a_listener_are_away() -> None:
    finding = await look("https://hooks.acme.example/t0ken", NoSuchName())
    assert (finding.away, finding.what) == (
        True,
        "webhook: hooks.acme.example has no address: Name or service not known",
    )
    finding = await look(f"https://127.0.0.1:{free_port()}/t0ken")
    assert (finding.away, "does not answer (nothing listens there)" in finding.what) == (True, True)


async def test_a_secret_that_is_none_is_a_failure() -> None:
    for secret in ("", "whsec_!"):
        [finding] = await check_webhook(
            Webhook(url="https://hooks.acme.example", secret=secret), SystemClock().now_ms, NoSuchName()
        )
        assert (finding.level, finding.away, "secret" in finding.what) == ("fail", False, True)
