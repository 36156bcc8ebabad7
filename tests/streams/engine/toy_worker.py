"""A worker process with the toy fold: `python -m tests.streams.engine.toy_worker '{"bootstrap_servers": ...}'`.

The JSON holds EngineSettings by name and, under `toy`, keyword arguments of ToyState. `names_no_broker` among these: the
client meets a cluster that names no broker yet, as one that is just coming up, when it looks for its group. `no_memory`: a
callback of the event loop gets none.
"""

import asyncio
import json
import logging
import sys
from typing import Any

from aiokafka.client import AIOKafkaClient

from streams.clock import SystemClock
from streams.engine.settings import EngineSettings
from streams.engine.worker import Worker
from tests.streams.engine.doubles import CountingMetrics
from tests.streams.engine.toy import ToyState


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    given = json.loads(sys.argv[1])
    toy = given.pop("toy", {})
    if toy.pop("names_no_broker", False):
        AIOKafkaClient.coordinator_lookup = _coordinator_lookup
    on_started = _no_memory if toy.pop("no_memory", False) else None
    settings = EngineSettings(**{**given, "output_topics": tuple(given["output_topics"])})
    transitions, *snapshots = settings.output_topics
    worker = Worker(
        settings,
        lambda _: ToyState(transitions, *snapshots, **toy),
        SystemClock(),
        CountingMetrics(),
    )
    return worker.run(on_started)


async def _coordinator_lookup(*_: Any) -> Any:
    raise AssertionError("Did we not perform bootstrap?")  # as aiokafka says it


async def _no_memory() -> None:
    def callback() -> None:
        raise MemoryError

    asyncio.get_running_loop().call_soon(callback)
    await asyncio.Event().wait()


if __name__ == "__main__":
    sys.exit(main())
