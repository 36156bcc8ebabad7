"""429, by write key and by visitor, through real HTTP."""

import json
from dataclasses import replace
from typing import Any

import aiohttp

from sources.config import CollectorSettings, WriteKey
from tests.sources.http.running import SETTINGS, Running, running_collector

LIMITED = ("leadstream_collector_rate_limited_total",)


def limited(*, key: float = 0, visitor: float = 0, keys: tuple[str, ...] = ()) -> CollectorSettings:
    limits = replace(SETTINGS.limits, requests_per_second_per_key=key, events_per_second_per_visitor=visitor)
    return replace(SETTINGS, limits=limits, write_keys=tuple(WriteKey(name, f"key-of-{name}") for name in keys))


def event(visitor: str = "a") -> dict[str, Any]:
    return {"type": "page_view", "anonymous_id": visitor}


async def post(running: Running, body: Any, path: str = "/v1/events", **headers: str) -> aiohttp.ClientResponse:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with (
        aiohttp.ClientSession() as session,
        session.post(running.url + path, data=data, headers=headers) as answer,
    ):
        await answer.read()
        return answer


async def statuses(running: Running, count: int, body: Any, **more: Any) -> list[int]:
    return [(await post(running, body, **more)).status for _ in range(count)]


async def test_a_visitor_who_sends_too_much_gets_429_and_others_do_not() -> None:
    async with running_collector(limited(visitor=0.2)) as running:  # a burst of 2, one more after 5 s
        assert await statuses(running, 3, event()) == [200, 200, 429]
        answer = await post(running, event())
        assert answer.status == 429
        assert 1 <= int(answer.headers["Retry-After"]) <= 5
        assert (await answer.json())["reason"] == "rate_limit"
        assert (await post(running, event("b"))).status == 200
        assert len(running.producer.events) == len(running.seen) == 3
        assert running.metrics.counts[*LIMITED, "limit=visitor"] == 2


async def test_a_batch_is_taken_whole_or_not_at_all() -> None:
    async with running_collector(limited(visitor=0.2)) as running:
        assert (await post(running, [event("a")] * 2)).status == 200
        assert (await post(running, [event("a"), event("b")])).status == 429
        assert len(running.producer.events) == 2
        assert (await post(running, [event("b")] * 2)).status == 200, "b was not charged for what was refused"


async def test_a_batch_larger_than_the_burst_passes_once() -> None:
    async with running_collector(limited(visitor=0.2)) as running:
        assert await statuses(running, 2, [event()] * 100) == [200, 429]
        assert len(running.producer.events) == 100


async def test_what_cannot_be_used_counts_for_the_address_so_nobody_fills_the_dead_letters() -> None:
    async with running_collector(limited(visitor=0.2)) as running:
        assert await statuses(running, 3, b"{") == [400, 400, 429]
        assert len(running.producer.dead_letters) == 2
        assert (await post(running, event())).status == 200


async def test_wrong_keys_count_for_the_address() -> None:
    async with running_collector(limited(visitor=0.2, keys=("website",))) as running:
        assert await statuses(running, 3, event()) == [401, 401, 429]


async def test_a_key_with_too_many_requests_gets_429_and_the_others_do_not() -> None:
    async with running_collector(
        limited(key=0.1, keys=("website", "server"))
    ) as running:  # one, and one more after 10 s
        query = "/v1/events?writeKey=key-of-website"
        assert await statuses(running, 2, event(), path=query) == [200, 429]
        in_body = {"batch": [{"type": "page", "anonymousId": "a"}], "writeKey": "key-of-website"}
        assert await statuses(running, 1, in_body, path="/v1/batch") == [429], "wherever the key stands"
        in_body["writeKey"] = "key-of-server"
        assert await statuses(running, 2, in_body, path="/v1/batch") == [200, 429]
        assert running.metrics.counts[*LIMITED, "limit=key"] == 3
        assert len(running.producer.records) == 2


async def test_without_keys_all_requests_share_the_limit_whatever_key_they_say() -> None:
    async with running_collector(limited(key=0.1)) as running:
        codes = [(await post(running, event(), f"/v1/events?writeKey={number}")).status for number in range(2)]
        assert codes == [200, 429]


async def test_0_is_no_limit() -> None:
    async with running_collector(limited()) as running:
        assert await statuses(running, 30, [event()] * 20) == [200] * 30


async def test_a_page_may_read_that_it_has_to_wait() -> None:
    async with running_collector(limited(key=0.1)) as running:
        origin = {"Origin": "https://www.example.com"}
        await statuses(running, 2, event())
        answer = await post(running, event(), **origin)
        assert answer.status == 429
        assert answer.headers["Access-Control-Allow-Origin"] == "https://www.example.com"


async def test_health_and_metrics_have_no_limit() -> None:
    async with running_collector(limited(key=0.1)) as running, aiohttp.ClientSession() as session:
        await statuses(running, 3, event())
        for path in ("/health", "/livez", "/readyz", "/metrics", "/t.js"):
            async with session.get(running.url + path) as answer:
                assert answer.status == 200
