import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

from sinks.base import RetryLater, Undeliverable
from sinks.config import WebhookSettings
from sinks.webhook import WebhookSink, retry_after_seconds
from sinks.webhook_body import MAX_BODY_BYTES, webhook_body
from tests.sinks.records import MARCH_2, delivery, part, transition
from tests.sinks.test_egress import Answers

SECRET = "whsec_" + base64.b64encode(b"n" * 24).decode()
OLD_SECRET = "whsec_" + base64.b64encode(b"o" * 24).decode()


def real_ms() -> int:
    return time.time_ns() // 1_000_000


class Receiver:
    """A server that answers as told, then 204, and keeps what it got."""

    def __init__(self) -> None:
        self.answers: list[web.Response] = []
        self.requests: list[tuple[dict[str, str], str]] = []
        self.delay_seconds = 0.0

    async def handle(self, request: web.Request) -> web.Response:
        self.requests.append((dict(request.headers), await request.text()))
        await asyncio.sleep(self.delay_seconds)
        return self.answers.pop(0) if self.answers else web.Response(status=204)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    receiver.url = str(server.make_url("/hook?token=hunter2"))  # type: ignore[attr-defined]  # known after the start
    yield receiver
    await server.close()


@pytest.fixture
async def sink(receiver: Receiver) -> AsyncIterator[WebhookSink]:
    url: str = receiver.url  # type: ignore[attr-defined]  # set by the fixture above
    sink = WebhookSink(WebhookSettings(url, (SECRET, OLD_SECRET), timeout_seconds=5, allow_private=True), real_ms)
    await sink.open()
    yield sink
    await sink.close()


@pytest.mark.parametrize("secret", [SECRET, OLD_SECRET])
async def test_a_transition_arrives_signed_with_each_secret(sink: WebhookSink, receiver: Receiver, secret: str) -> None:
    move = transition()
    await sink.deliver([delivery(move, 0)])
    headers, body = receiver.requests[0]
    payload = Webhook(secret).verify(body, headers)
    assert payload["type"] == "lead.stage_changed"
    assert payload["timestamp"] == "2026-03-02T09:00:00Z"
    assert payload["data"]["to_stage"] == "mql"
    assert payload["data"]["receipt"] == move["receipt"]
    assert "alert" not in payload["data"]


async def test_the_id_is_the_same_over_retries_and_the_timestamp_is_not_older(
    sink: WebhookSink, receiver: Receiver
) -> None:
    receiver.answers = [web.Response(status=503)]
    batch = [delivery(transition(), 0)]
    with pytest.raises(RetryLater):
        await sink.deliver(batch)
    await sink.deliver(batch)
    first, second = (headers for headers, _ in receiver.requests)
    assert first["webhook-id"] == second["webhook-id"] == transition()["id"]
    assert int(second["webhook-timestamp"]) >= int(first["webhook-timestamp"])
    assert receiver.requests[0][1] == receiver.requests[1][1]


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_a_server_in_trouble_is_asked_again_when_it_says(
    sink: WebhookSink, receiver: Receiver, status: int
) -> None:
    receiver.answers = [web.Response(status=200), web.Response(status=status, headers={"Retry-After": "7"})]
    with pytest.raises(RetryLater, match=f"127.0.0.1 answered {status}") as caught:
        await sink.deliver([delivery(transition(offset=1), 0), delivery(transition(offset=2), 1)])
    assert caught.value.after_seconds == 7
    assert caught.value.done == 1


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 404, 422])
async def test_an_answer_that_no_retry_mends_makes_the_transition_undeliverable(
    sink: WebhookSink, receiver: Receiver, status: int
) -> None:
    receiver.answers = [web.Response(status=status, headers={"Location": "http://169.254.169.254/latest/meta-data"})]
    with pytest.raises(Undeliverable, match=f"answered {status}"):
        await sink.deliver([delivery(transition(), 0)])
    assert len(receiver.requests) == 1


async def test_after_410_gone_nothing_more_is_sent_and_the_rest_waits(sink: WebhookSink, receiver: Receiver) -> None:
    receiver.answers = [web.Response(status=410)]
    assert await sink.healthy() is None
    with pytest.raises(Undeliverable, match="410"):
        await sink.deliver([delivery(transition(), 0)])
    with pytest.raises(RetryLater, match="new URL"):
        await sink.deliver([delivery(transition(offset=8), 1)])
    assert len(receiver.requests) == 1
    assert "410" in (await sink.healthy() or "")


async def test_a_redirect_to_the_metadata_address_is_not_followed(receiver: Receiver, sink: WebhookSink) -> None:
    own_url: str = receiver.url  # type: ignore[attr-defined]  # set by the fixture
    receiver.answers = [web.Response(status=302, headers={"Location": own_url.replace("/hook", "/metadata")})]
    with pytest.raises(Undeliverable):
        await sink.deliver([delivery(transition(), 0)])
    assert len(receiver.requests) == 1


async def test_a_silent_server_is_given_up_in_time(receiver: Receiver) -> None:
    receiver.delay_seconds = 3
    url: str = receiver.url  # type: ignore[attr-defined]  # set by the fixture
    sink = WebhookSink(WebhookSettings(url, (SECRET,), timeout_seconds=0.1, allow_private=True), real_ms)
    await sink.open()
    with pytest.raises(RetryLater, match=r"127.0.0.1: .*Timeout") as caught:
        await sink.deliver([delivery(transition(), 0)])
    assert "hunter2" not in str(caught.value)
    await sink.close()


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "::1", "64:ff9b::a00:1"])
async def test_a_name_that_resolves_to_a_private_address_is_never_dialled(receiver: Receiver, address: str) -> None:
    sink = WebhookSink(WebhookSettings("https://hooks.example/x", (SECRET,)), real_ms, Answers([address]))
    await sink.open()
    with pytest.raises(RetryLater, match=f"hooks.example resolves to {address}"):
        await sink.deliver([delivery(transition(), 0)])
    await sink.close()


async def test_a_dial_goes_to_the_address_that_was_checked(receiver: Receiver) -> None:
    own_url: str = receiver.url  # type: ignore[attr-defined]  # set by the fixture
    rebinding = Answers(["127.0.0.1"], ["127.0.0.2"])  # the receiver listens on the first alone
    url = own_url.replace("127.0.0.1", "hooks.example")
    sink = WebhookSink(WebhookSettings(url, (SECRET,), allow_private=True), real_ms, rebinding)
    await sink.open()
    await sink.deliver([delivery(transition(), 0)])
    assert (len(receiver.requests), len(rebinding.answers)) == (1, 1)  # it was asked once
    await sink.close()


def test_a_private_url_is_refused_at_the_start_and_no_secret_shows() -> None:
    refused = WebhookSettings("https://10.0.0.1/hook?token=hunter2", (SECRET,))
    with pytest.raises(ValueError, match="not a public address"):
        WebhookSink(refused, real_ms)
    with pytest.raises(ValueError, match="not whsec_") as caught:
        WebhookSink(WebhookSettings("https://hooks.example/x", ("whsec_%",)), real_ms)
    assert "%" not in str(caught.value)
    assert "hunter2" not in repr(refused)
    assert SECRET not in repr(refused)


def test_settings_without_a_secret_are_refused() -> None:
    with pytest.raises(ValueError, match="no secret"):
        WebhookSettings("https://hooks.example/x", ())


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("7", 7),
        ("999999", 3600),
        ("Mon, 02 Mar 2026 09:00:30 GMT", 30),
        ("Mon, 02 Mar 2026 08:00:00 GMT", 0),
        ("soon", None),
        ("-1", None),
        ("", None),
        ("٣", 3),
    ],
)
def test_retry_after_is_read_in_both_forms(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header, MARCH_2) == seconds


def test_an_id_that_would_break_the_signature_is_undeliverable() -> None:
    async def send() -> None:
        sink = WebhookSink(WebhookSettings("https://hooks.example/x", (SECRET,)), real_ms, Answers(["127.0.0.1"]))
        await sink.open()
        try:
            await sink.deliver([delivery(transition(id="a.b\r\nx: y"), 0)])
        finally:
            await sink.close()

    with pytest.raises(Undeliverable, match="transition id"):
        asyncio.run(send())


text = st.text(max_size=3000)


@settings(max_examples=30)
@given(st.lists(text, max_size=60), st.dictionaries(text, text, max_size=8))
def test_a_body_is_json_under_the_limit_or_none(subjects: list[str], traits: dict[str, Any]) -> None:
    move = transition(traits={}, receipt=[])
    move["receipt"] = [part(f"r{i}", "A rule", float(i), subject) for i, subject in enumerate(subjects)]
    move["traits"] = traits
    body = webhook_body(move)
    if body is not None:
        data: dict[str, Any] = json.loads(body)["data"]
        assert len(body) < MAX_BODY_BYTES
        assert data["receipt_lines_left_out"] == len(subjects) - len(data["receipt"])
    assert webhook_body(move) == body


def test_what_is_cut_shows_and_the_largest_lines_stay() -> None:
    receipt = [part(f"r{i}", "n" * 300, float(i)) for i in range(100)]
    data = json.loads(webhook_body(transition(receipt=receipt)) or b"")["data"]
    assert data["receipt_lines_left_out"] > 0
    assert data["receipt"][-1]["id"] == "r99"
    assert all(each["points"] >= data["receipt_lines_left_out"] for each in data["receipt"])
