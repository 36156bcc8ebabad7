import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from tests.chaos import recovered
from tests.chaos.recovered import Recovery


@pytest.fixture
def site() -> Any:
    return SimpleNamespace(complaints=set())


async def test_what_is_not_got_over_in_time_is_a_complaint(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovered, "until_caught_up", lambda _: asyncio.Event().wait())
    recovery = Recovery(site)
    await recovery.wait(0.01)  # nothing has happened yet
    recovery.measure("worker_killed")
    await recovery.wait(0)
    assert site.complaints == set()
    await recovery.wait(0.01)
    assert site.complaints == {"0.01 s after worker_killed not all was folded and delivered"}
    recovery.give_up()
    assert recovery.table() == {}


async def test_times_are_told_by_kind_of_fault(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovered, "until_caught_up", lambda _: asyncio.sleep(0))
    recovery = Recovery(site)
    for name in ("worker_killed", "worker_killed", "link_cut"):
        recovery.measure(name)
        await recovery.wait(5)
    assert recovery.table() == {
        "link_cut": "0.0, at worst 0.0 (1 times)",
        "worker_killed": "0.0, at worst 0.0 (2 times)",
    }
    assert site.complaints == set()
