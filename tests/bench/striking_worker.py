"""The toy worker, which signals the broker at a point of its own work: `fault` among the arguments of the toy.

`{"point": "during commit", "pid": 123, "signal": 19, "armed": "/path"}`: as soon as the file `armed` is there, the signal is
sent just before that step, or a millisecond into it, when its requests are on their way. Once; the file is removed.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from streams.engine.effects import KafkaEffects
from streams.engine.recovery import Recovery
from streams.engine.sender import Sender
from tests.streams.engine import toy_worker
from tests.streams.engine.toy import PART

_STEPS: dict[str, tuple[type, str, Callable[..., bool]]] = {
    "outputs": (Sender, "_send_round", lambda *_: True),
    "the question to the group": (KafkaEffects, "is_member", lambda *_: True),
    "rows": (KafkaEffects, "write_changelog", lambda _, records: bool(records) and records[0][0] != PART),
    "part": (KafkaEffects, "write_changelog", lambda _, records: bool(records) and records[0][0] == PART),
    "commit": (KafkaEffects, "commit", lambda *_: True),
    "recovery": (Recovery, "recover", lambda *_: True),
}
POINTS = tuple(f"{when} {step}" for step in _STEPS for when in ("before", "during"))


def strike_at(point: str, pid: int, signal: int, armed: Path) -> None:
    """Make the step signal the broker."""
    when, step = point.split(" ", 1)
    owner, name, fits = _STEPS[step]
    original = getattr(owner, name)

    async def striking(self: Any, *arguments: Any) -> Any:
        if not (fits(*arguments) and _taken(armed)):
            return await original(self, *arguments)
        working = asyncio.ensure_future(original(self, *arguments))
        if when == "during":
            await asyncio.sleep(0.001)
        os.kill(pid, signal)
        return await working

    setattr(owner, name, striking)


def _taken(armed: Path) -> bool:
    """It was there, and is not any more."""
    there = armed.exists()
    armed.unlink(missing_ok=True)
    return there


def main() -> int:
    given = json.loads(sys.argv[1])
    fault = given["toy"].pop("fault")
    strike_at(fault["point"], fault["pid"], fault["signal"], Path(fault["armed"]))
    sys.argv[1] = json.dumps(given)
    return toy_worker.main()


if __name__ == "__main__":
    sys.exit(main())
