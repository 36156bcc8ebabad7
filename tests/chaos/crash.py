"""A worker or sink that ends itself, as by SIGKILL, before or after an effect."""

import os
from collections.abc import Awaitable, Callable
from typing import Any

from sinks.redis_leads import RedisLeads
from sinks.webhook import WebhookSink
from streams.delivery.runner import _KafkaLog
from streams.engine.effects import KafkaEffects

WORKER_EFFECTS = ("confirm", "is_member", "write_changelog", "commit")
SINK_EFFECTS = ("deliver", "commit")
OWNERS: tuple[type, ...] = (KafkaEffects, RedisLeads, WebhookSink, _KafkaLog)  # a process has those of one part


def points_of(effects: tuple[str, ...]) -> list[str]:
    return [f"{when}:{effect}" for when in ("before", "after") for effect in effects]


def crash_at(point: str) -> None:
    """Arm it: one of `points_of`, and the number of the call, such as `before:commit:2`."""
    when, effect, number = point.split(":")
    for owner in OWNERS:
        if hasattr(owner, effect):
            setattr(owner, effect, _armed(getattr(owner, effect), when, int(number)))


def _armed(original: Callable[..., Awaitable[Any]], when: str, number: int) -> Callable[..., Awaitable[Any]]:
    calls = 0

    async def armed(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if when == "before" and calls == number:
            os._exit(137)
        result = await original(*arguments)
        if when == "after" and calls >= number:
            os._exit(137)
        return result

    return armed
