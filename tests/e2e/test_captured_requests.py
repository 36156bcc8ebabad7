"""Requests as real clients made them, sent to the running collector."""

import gzip
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.shared_material import shared
from tests.sources.http.running import Running, running_collector

OWN = json.loads((Path(__file__).parent / "requests.json").read_text())
UNSENT_HEADERS = {"host", "content-length", "connection", "transfer-encoding"}


async def send(running: Running, request: dict[str, Any], path: str | None = None) -> tuple[int, dict[str, Any]]:
    body = json.dumps(request["body"]).encode()
    headers = {name: value for name, value in request["headers"].items() if name.lower() not in UNSENT_HEADERS}
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.request(
            request.get("method", "POST"),
            running.url + (path or request["path"]),
            data=gzip.compress(body) if request["gzip_body"] else body,
            headers=headers,
            params=[tuple(pair) for pair in request.get("query") or []],
        ) as answer,
    ):
        return answer.status, json.loads(await answer.text() or "{}")


@pytest.mark.parametrize("request_", OWN, ids=[request["name"] for request in OWN])
async def test_the_shapes_that_clients_use_are_understood(request_: dict[str, Any]) -> None:
    async with running_collector() as running:
        assert await send(running, request_) == (200, {"success": True})
        assert [event["type"] for event in running.producer.events] == request_["types"]


@pytest.mark.parametrize("name", ["segment-python", "segment-python-gzip", "rudder-python"])
async def test_captured_segment_requests_pass_unchanged(name: str) -> None:
    capture = json.loads(shared(f"fixtures/clients/{name}.json").read_text())
    async with running_collector() as running:
        calls: list[dict[str, Any]] = []
        for request in capture["requests"]:
            assert await send(running, request) == (200, {"success": True})
            calls.extend(request["body"]["batch"])
        assert len(calls) > 3
        events = running.producer.events
        assert [event["event_id"] for event in events] == [call["messageId"] for call in calls]
        assert [event["user_id"] for event in events] == [call["userId"] for call in calls]
        assert {event["source"]["library"] for event in events} == {"analytics-python"}
        assert running.producer.dead_letters == []


async def test_captured_beacons_are_read_and_what_is_no_call_is_kept() -> None:
    """The captured bodies are `{"a": 1}`: the transport is real, the content is no event."""
    capture = json.loads(shared("fixtures/clients/browser-beacon-raw.json").read_text())
    async with running_collector() as running:
        posts = [request for request in capture["requests"] if request["method"] == "POST"]
        assert len(posts) >= 3
        for request in posts:
            status, answer = await send(running, request, path="/v1/b")
            assert (status, answer["items"][0]["reason"]) == (400, "bad_event")
        assert [json.loads(letter["value"]) for letter in running.producer.dead_letters] == [{"a": 1}] * len(posts)
        preflights = [request for request in capture["requests"] if request["method"] == "OPTIONS"]
        for request in preflights:
            assert await send(running, request, path="/v1/b") == (204, {})
