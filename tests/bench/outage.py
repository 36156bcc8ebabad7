"""A broker that is away under load: does the worker go on, or end with a reason, or stand still?

`python -m tests.bench.outage pause|kill [--seconds N] [--settings JSON]`. The worker is the engine with the toy fold and the
product's own time limits and a static group id, beside a load of 300 events/s. Apache Kafka is stopped (SIGSTOP) or killed
at each of `striking_worker.POINTS` once, and comes back. A worker that ends is started again after a
second, as a supervisor does. At the end of each run counts and outputs must be exact.
"""

import argparse
import asyncio
import dataclasses
import json
import logging
import re
import signal
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aiokafka.errors import KafkaError

from streams.engine.settings import EngineSettings
from tests.bench.setup import machine
from tests.bench.striking_worker import POINTS
from tests.eventually import eventually
from tests.kafka.apache import ApacheKafka
from tests.streams.engine.cluster import (
    Load,
    ToyWorker,
    committed_offsets,
    create_topics,
    engine_settings,
    read_outcome,
    wait_until_folded,
)

PARTITIONS, RATE = 4, 300
BEFORE_SECONDS, AFTER_SECONDS = 10, 20  # of load, before (with the start of the worker) and after the outage
SETTLE_SECONDS = 5.0
STANDS_STILL_SECONDS = 20.0
_DEFAULTS = {
    field.name: field.default
    for field in dataclasses.fields(EngineSettings)
    if field.name.endswith("_seconds") and field.name != "checkpoint_interval_seconds"
}


@dataclasses.dataclass
class Run:
    """What one outage came to.

    Attributes:
        ends: (seconds since the broker went away, reason) of each worker that ended.
        commits: (seconds since the broker was back, sum of the committed offsets), as looked at twice a second.
    """

    ends: list[tuple[float, str]] = dataclasses.field(default_factory=list)
    commits: list[tuple[float, int]] = dataclasses.field(default_factory=list)

    @property
    def first_commit_seconds(self) -> float:
        """From the return of the broker until a commit moved."""
        return next((at for at, total in self.commits if total > self.commits[0][1]), float("inf"))

    @property
    def longest_pause_seconds(self) -> float:
        """After the first commit, until all was folded: the longest time in which no commit moved."""
        moved = [at for (_, before), (at, total) in pairwise(self.commits) if total > before]
        return max((later - at for at, later in pairwise(moved)), default=0.0)

    def __str__(self) -> str:
        ends = "the worker went on"
        if self.ends:
            ends = "ended after {:.0f} s with {}".format(*self.ends[0])
        if len(self.ends) > 1:
            ends += "; {} successors, too, the last after {:.0f} s with {}".format(len(self.ends) - 1, *self.ends[-1])
        return (
            f"first commit {self.first_commit_seconds:.1f} s after the return, then never longer than "
            f"{self.longest_pause_seconds:.1f} s without one; {ends}"
        )


class Supervised:
    """A worker that is started again when it ends. The first one hits the broker, once `strike` is called."""

    def __init__(self, settings: EngineSettings, directory: Path, run: Run, fault: Mapping[str, Any]) -> None:
        self._settings, self._directory, self._run = settings, directory, run
        self._armed = directory / "armed"
        self._fault = {**fault, "armed": str(self._armed)}
        self.worker: ToyWorker | None = None
        self.away_since = time.monotonic()

    async def keep(self) -> None:
        for number in range(1000):
            log = self._directory / f"worker{number}.log"
            self.worker = await ToyWorker.start(
                self._settings, log, module="tests.bench.striking_worker", fault=self._fault
            )
            try:
                await self.worker.process.wait()
            finally:
                await self.worker.kill()
            reasons = re.findall(r"worker stops: .*|leadstream worker: .*", self.worker.log())
            reason = reasons[-1] if reasons else f"NO REASON: {self.worker.log()[-500:]}"
            self._run.ends.append((time.monotonic() - self.away_since, f"{self.worker.process.returncode}, {reason}"))
            await asyncio.sleep(1)  # as a supervisor waits

    async def strike(self) -> None:
        """Returns when the broker was hit."""
        if "recovery" in self._fault["point"]:  # its only one
            self._armed.touch()
        else:
            await eventually(lambda: self.worker is not None and "owns partitions" in self.worker.log(), 60)
            await asyncio.sleep(SETTLE_SECONDS)
            self._armed.touch()
        await eventually(lambda: not self._armed.exists(), 60)
        self.away_since = time.monotonic()


async def outage(fault: str, point: str, seconds: float, given: Mapping[str, Any]) -> Run:
    """One outage; raises where something was lost or counted twice."""
    run, number = Run(), signal.SIGKILL if fault == "kill" else signal.SIGSTOP
    async with ApacheKafka.start() as kafka:
        worker = {**_DEFAULTS, "instance_id": "worker", **given}
        settings = engine_settings(kafka.bootstrap_servers, "outage.", embedded=False, **worker)
        await create_topics(settings, PARTITIONS)
        load = Load(settings, PARTITIONS, patience_seconds=seconds + 120)
        with TemporaryDirectory(prefix="leadstream-bench-") as directory:
            strike = {"point": point, "pid": kafka.pid, "signal": number}
            supervised = Supervised(settings, Path(directory), run, strike)
            # First the load: it has to find the broker, too.
            loading = asyncio.create_task(load.send(int(RATE * (BEFORE_SECONDS + seconds + AFTER_SECONDS)), RATE))
            keeping = asyncio.create_task(supervised.keep())
            try:
                await supervised.strike()
                await asyncio.sleep(seconds)
                await _bring_back(kafka, fault)
                back_at = time.monotonic()
                await _watch(settings, run, loading, back_at)
                await loading
                await wait_until_folded(settings, PARTITIONS, 180)
                committed = await committed_offsets(settings, PARTITIONS)
                run.commits.append((time.monotonic() - back_at, sum(committed.values())))
                outcome = await read_outcome(settings, PARTITIONS)
                outcome.check(load.sent)
                if outcome.parts != committed:
                    raise AssertionError(f"the changelog stands at {outcome.parts}, the group at {committed}")
            finally:
                keeping.cancel()
                loading.cancel()
                await asyncio.gather(keeping, loading, return_exceptions=True)
    return run


async def _bring_back(kafka: ApacheKafka, fault: str) -> None:
    if fault == "kill":
        kafka.kill()  # reaped: the worker has killed it
        await kafka.boot()
    else:
        kafka.resume()


async def _watch(settings: EngineSettings, run: Run, loading: asyncio.Task[None], back_at: float) -> None:
    """Look at the commits until the load has ended and they have moved."""
    while (now := time.monotonic()) < back_at + 240 and not (loading.done() and run.first_commit_seconds < now):
        try:
            async with asyncio.timeout(20):
                total = sum((await committed_offsets(settings, PARTITIONS)).values())
            run.commits.append((time.monotonic() - back_at, total))
        except (KafkaError, KeyError, TimeoutError):
            pass  # its coordinator is still coming up
        await asyncio.sleep(0.5)


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.outage", description=__doc__)
    parser.add_argument("fault", choices=["pause", "kill"])
    parser.add_argument("--seconds", type=float, default=53.0)
    parser.add_argument("--settings", type=json.loads, default={}, help="of the worker, by the names of EngineSettings")
    given = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # of the load, which finds no broker for a while
    print(machine())
    print(f"Broker away for {given.seconds:g} s ({given.fault}), {given.settings or 'settings as they are'}")
    for point in POINTS:
        try:
            run = await outage(given.fault, point, given.seconds, given.settings)
        except (AssertionError, TimeoutError) as error:
            print(f"  {point}: NOT EXACT, OR NOT DONE: {error}", flush=True)
            continue
        stood_still = max(run.first_commit_seconds, run.longest_pause_seconds) > STANDS_STILL_SECONDS
        print(f"  {point}: {'STOOD STILL; ' if stood_still else ''}{run}; exact", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
