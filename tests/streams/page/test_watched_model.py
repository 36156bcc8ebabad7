"""The model that the collector explains with."""

import asyncio

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from sinks.redis_reader import LeadReader
from streams.page.watched_model import watched_model


async def test_it_ends_although_the_client_loses_a_cancellation(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asyncio.Event()

    async def connecting(_: LeadReader) -> None:
        asked.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:  # as redis-py does in the middle of a connection
            raise RedisConnectionError("cancelled") from error

    monkeypatch.setattr(LeadReader, "active_model", connecting)
    async with asyncio.timeout(5):
        async with watched_model("redis://127.0.0.1:1/0", lambda: 0):
            await asked.wait()
