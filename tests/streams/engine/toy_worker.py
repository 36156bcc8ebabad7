"""A worker process with the toy fold: `python -m tests.streams.engine.toy_worker '{"bootstrap_servers": ...}'`.

The JSON holds EngineSettings by name and, under `toy`, keyword arguments of ToyState.
"""

import json
import logging
import sys

from streams.clock import SystemClock
from streams.engine.settings import EngineSettings
from streams.engine.worker import create_worker
from tests.streams.engine.doubles import CountingMetrics
from tests.streams.engine.toy import ToyState


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    given = json.loads(sys.argv[1])
    toy = given.pop("toy", {})
    settings = EngineSettings(**{**given, "output_topics": tuple(given["output_topics"])})
    transitions, *snapshots = settings.output_topics
    worker = create_worker(
        settings,
        lambda _: ToyState(transitions, *snapshots, **toy),
        SystemClock(),
        CountingMetrics(),
    )
    return worker.run()


if __name__ == "__main__":
    sys.exit(main())
