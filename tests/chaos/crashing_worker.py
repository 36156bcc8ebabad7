"""A worker that ends itself, as by SIGKILL, before or after an effect of a checkpoint."""

import os
from collections.abc import Awaitable, Callable
from typing import Any

from streams.engine.effects import KafkaEffects

EFFECTS = ("confirm", "is_member", "write_changelog", "commit")
POINTS = tuple(f"{when}:{effect}" for when in ("before", "after") for effect in EFFECTS)


def crash_at(point: str) -> None:
    """Arm it: `point` is one of POINTS and the number of the call."""
    when, effect, number = point.split(":")
    original: Callable[..., Awaitable[Any]] = getattr(KafkaEffects, effect)
    calls = 0

    async def armed(self: KafkaEffects, *arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if when == "before" and calls == int(number):
            os._exit(137)
        result = await original(self, *arguments)
        if when == "after" and calls >= int(number):
            os._exit(137)
        return result

    setattr(KafkaEffects, effect, armed)
