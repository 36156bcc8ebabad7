"""The laws that every sink obeys, each on all of them, the fake among them."""

import base64
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sinks.alert_text import AlertText
from sinks.alerts import AlertsSink
from sinks.base import Delivery, RetryLater, Sink, StartOver
from sinks.business_metrics import BusinessMetrics
from sinks.config import AlertsSettings, RedisSettings, WebhookSettings
from sinks.redis_leads import RedisLeads
from sinks.redis_reader import LeadReader
from sinks.redis_scripts import connect
from sinks.webhook import WebhookSink
from tests.flaky_proxy import FlakyProxy, flaky_proxy
from tests.sinks.memory import CountedMetrics, MemorySink
from tests.sinks.records import HOUR, MARCH_2, delivery, model, snapshot, transition

LEADS = ("1ada", "1wei", "1zoe")


def moves(count: int) -> list[Delivery]:
    """`count` transitions of three leads in log order; each lead's alerts lie within its quiet period."""
    return [
        delivery(
            transition(offset=i, seq=i, lead_key=LEADS[i % 3], logged_at=MARCH_2 + i, to_stage=f"s{i}", id=f"id-{i}"),
            i,
        )
        for i in range(count)
    ]


def states(count: int) -> list[Delivery]:
    records = [snapshot(offset=i, lead_key=LEADS[i % 3], at=MARCH_2 + i * HOUR, stage=f"s{i}") for i in range(count)]
    return [delivery(model(1), 0), *(delivery(record, i + 1) for i, record in enumerate(records))]


class Rig(ABC):
    """One sink, what can be seen of its effects, and a way to make its destination fail once."""

    sink: Sink

    async def deliver(self, batch: Sequence[Delivery]) -> None:
        """As delivery does, waits left out: until all of it took effect."""
        rest = list(batch)
        while rest:
            try:
                await self.sink.deliver(rest)
            except RetryLater as error:
                del rest[: error.done]
            except StartOver:
                continue
            else:
                return

    @abstractmethod
    async def seen(self) -> Any:
        """What the receiver has, in a form that shows anything done twice."""

    @abstractmethod
    def fail_once(self) -> None:
        """The next delivery meets trouble in its middle."""

    def failed(self) -> bool:
        """Whether the trouble came."""
        return True


class MemoryRig(Rig):
    def __init__(self) -> None:
        self.sink: MemorySink = MemorySink()

    async def seen(self) -> Any:
        return dict(self.sink.newest)

    def fail_once(self) -> None:
        self.sink.troubles = [RetryLater("busy", done=2)]

    def failed(self) -> bool:
        return not self.sink.troubles


class RedisRig(Rig):
    def __init__(self, url: str, proxy: FlakyProxy) -> None:
        self.proxy = proxy
        self.client = connect(url)
        self.sink = RedisLeads(RedisSettings(f"redis://127.0.0.1:{proxy.own_port}/0"))

    async def seen(self) -> Any:
        leads = LeadReader(self.client)
        return (
            await leads.list_leads(),
            [await leads.transitions_of(key) for key in LEADS],
            await leads.latest_transitions(),
            await leads.active_model(),
        )

    def fail_once(self) -> None:
        self.proxy.cut_after = 5000

    def failed(self) -> bool:
        return self.proxy.cuts == 1


class WebhookRig(Rig):
    """Its receiver drops what it has seen, by `webhook-id`, as Standard Webhooks asks of receivers."""

    def __init__(self) -> None:
        self.got: dict[str, str] = {}
        self.trouble_at: int | None = None
        self.calls = 0

    async def start(self, stack: AsyncExitStack) -> None:
        app = web.Application()
        app.router.add_post("/", self.receive)
        server = TestServer(app, host="127.0.0.1")
        await server.start_server()
        stack.push_async_callback(server.close)
        secret = "whsec_" + base64.b64encode(b"s" * 24).decode()
        settings = WebhookSettings(str(server.make_url("/")), (secret,), allow_private=True)
        self.sink = WebhookSink(settings, lambda: time.time_ns() // 1_000_000)

    async def receive(self, request: web.Request) -> web.Response:
        self.calls += 1
        id_, body = request.headers["webhook-id"], await request.text()
        assert self.got.setdefault(id_, body) == body
        if self.calls == self.trouble_at:
            return web.Response(status=503)  # taken, but not said so: the worst case
        return web.Response(status=204)

    async def seen(self) -> Any:
        return dict(self.got)

    def fail_once(self) -> None:
        self.trouble_at = self.calls + 3

    def failed(self) -> bool:
        return self.trouble_at is not None and self.calls > self.trouble_at


class AlertsRig(Rig):
    def __init__(self, url: str) -> None:
        self.texts: list[str] = []
        self.trouble = False
        self.sink = AlertsSink(AlertsSettings(url), {"sales-hot": self}, metrics=CountedMetrics())

    async def send(self, text: AlertText) -> None:
        if self.trouble:
            self.trouble = False
            raise RetryLater("chat is away")
        self.texts.append(text.body)

    async def seen(self) -> Any:
        return sorted(self.texts)

    def fail_once(self) -> None:
        self.trouble = True

    def failed(self) -> bool:
        return not self.trouble


class MetricsRig(Rig):
    def __init__(self) -> None:
        self.metrics = CountedMetrics()
        self.sink = BusinessMetrics(self.metrics)

    async def seen(self) -> Any:
        return dict(self.metrics.counts)

    def fail_once(self) -> None:
        """It has no destination that could fail: the law says that a repeat of the batch changes nothing."""


@pytest.fixture(params=["memory", "redis", "webhook", "alerts", "metrics"])
async def rig(request: pytest.FixtureRequest, redis_url: str) -> AsyncIterator[Rig]:
    async with AsyncExitStack() as stack:
        client = connect(redis_url)
        stack.push_async_callback(client.aclose)
        await client.flushdb()
        rig: Rig
        if request.param == "redis":
            proxy = await stack.enter_async_context(flaky_proxy(urlsplit(redis_url).port or 0))
            rig = RedisRig(redis_url, proxy)
            stack.push_async_callback(rig.client.aclose)
        elif request.param == "webhook":
            rig = WebhookRig()
            await rig.start(stack)
        elif request.param == "alerts":
            rig = AlertsRig(redis_url)
        else:
            rig = MemoryRig() if request.param == "memory" else MetricsRig()
        await rig.sink.open()
        stack.push_async_callback(rig.sink.close)
        yield rig


async def test_a_batch_takes_effect(rig: Rig) -> None:
    before = await rig.seen()
    await rig.deliver(states(6) + moves(6))
    assert await rig.seen() != before


async def test_a_batch_delivered_twice_changes_nothing_more(rig: Rig) -> None:
    batch = states(6) + moves(6)
    await rig.deliver(batch)
    once = await rig.seen()
    await rig.deliver(batch)
    await rig.deliver(batch[3:9])
    assert await rig.seen() == once


async def test_an_older_record_never_overwrites_a_newer_one(rig: Rig) -> None:
    history = states(9) + moves(9)
    await rig.deliver(history)
    newest = await rig.seen()
    for older in reversed(history):
        await rig.deliver([older])
    assert await rig.seen() == newest


async def test_a_retry_after_trouble_in_the_middle_does_nothing_twice(rig: Rig) -> None:
    await rig.deliver(states(1) + moves(1))
    batch = states(6) + moves(6)
    rig.fail_once()
    await rig.deliver(batch)
    assert rig.failed()
    after_trouble = await rig.seen()
    await rig.deliver(batch)
    assert await rig.seen() == after_trouble


async def test_a_sink_says_that_it_is_healthy_and_what_it_reads(rig: Rig) -> None:
    assert await rig.sink.healthy() is None
    assert rig.sink.inputs <= {"transitions", "scores"}
    assert "transitions" in rig.sink.inputs


async def test_a_record_that_a_sink_does_not_read_passes_without_effect(rig: Rig) -> None:
    before = await rig.seen()
    await rig.deliver([delivery(None, 0, key=b"1nobody")])
    if not isinstance(rig, MemoryRig):  # it keeps whatever it is given
        assert await rig.seen() == before
