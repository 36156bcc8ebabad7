"""An unmodified client: segment-analytics-python against the running collector."""

import asyncio
from typing import Any

import pytest
from segment.analytics.client import Client

from tests.eventually import eventually
from tests.sources.http.running import Running, running_collector


@pytest.mark.parametrize("gzip", [False, True])
async def test_the_python_sdk_delivers_every_call(gzip: bool) -> None:
    async with running_collector() as running:
        await asyncio.to_thread(_use_sdk, running, gzip)
        events = {event["event_id"]: event for event in running.producer.events}
        assert [event["type"] for event in events.values()] == [
            "identify",
            "page_view",
            "demo_requested",
            "group",
            "alias",
            "screen_view",
        ]
        identify, page, track, group, alias, _ = events.values()
        assert identify["traits"] == {"email": "ada@bigbank.example", "title": "CTO"}
        assert identify["email_kind"] == "business"
        assert page["url"] == "https://www.example.com/pricing?utm_source=g"
        assert page["campaign"]["source"] == "g"
        assert (track["asset"], track["properties"]["value"]) == ("demo", 10)
        assert group["traits"] == {"company.id": "acme", "company.employees": 120}
        assert alias["properties"] == {"previous_id": "anon-0"}
        assert {event["source"]["library"] for event in events.values()} == {"analytics-python"}
        assert not any(any(event["flags"].values()) for event in events.values())
        assert {record.key for record in running.producer.records} == {b"1anon-1", b"3user-1"}


async def test_the_python_sdk_keeps_what_the_collector_cannot_take_and_sends_it_again() -> None:
    async with running_collector() as running:
        running.producer.away = True
        sending = asyncio.create_task(asyncio.to_thread(_use_sdk, running, False))
        requests = running.metrics.counts
        await eventually(lambda: requests["leadstream_collector_requests_total", "route=/v1/batch", "status=503"] > 0)
        running.producer.away = False
        await sending
        assert len({event["event_id"] for event in running.producer.events}) == 6


def _use_sdk(running: Running, gzip: bool) -> None:
    errors: list[Any] = []
    client = Client("web_1", host=running.url, gzip=gzip, on_error=lambda error, _items: errors.append(error))
    ids = {"user_id": "user-1", "anonymous_id": "anon-1"}
    client.identify(**ids, traits={"email": "ada@bigbank.example", "title": "CTO"})
    client.page(**ids, name="Pricing", properties={"url": "https://www.example.com/pricing?utm_source=g"})
    client.track(**ids, event="Demo Requested", properties={"form": "demo", "value": 10})
    client.group("user-1", group_id="acme", traits={"employees": 120})
    client.alias("anon-0", "user-1")
    client.screen(**ids, name="Home")
    client.shutdown()
    assert errors == []
