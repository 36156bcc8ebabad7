"""Beside the delivery: how far it lags, and whether anything still comes to it.

aiokafka fetches and keeps its place in the group in tasks of its own. One that fails, as for want of memory, ends for good, and
who asks for records only gets none. So what is looked at is the effect.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from aiokafka.errors import IllegalStateError, KafkaError

from schemas.metrics import Metrics
from streams.delivery.delivery import Place, SinkStatus, SinkStoppedError

LOOK_SECONDS: Final = 5.0
JOINING_LOOK_SECONDS: Final = 0.1
STANDSTILL_SECONDS: Final = 90.0  # more than the longest session and rebalance; with looks and a goodbye less than 120


class SinkStandsStillError(SinkStoppedError):
    """It has nothing to deliver, and not because there is nothing. The next start begins with new connections."""


@dataclass(slots=True)
class Standstill:
    """For how long a sink has waited without a sign of life. Time in which the process itself slept counts as one look."""

    sign: object = None
    seconds: float = 0.0

    def look(self, sign: object, *, waits: bool, elapsed_seconds: float) -> None:
        if waits and sign == self.sign:
            self.seconds += min(elapsed_seconds, 2 * LOOK_SECONDS)
        else:
            self.seconds = 0.0
        self.sign = sign


async def watch(name: str, consumer: Any, in_flight: Mapping[Place, int], status: SinkStatus, metrics: Metrics) -> None:
    """Until cancelled. `in_flight`: the first offset of what is being delivered, by partition.

    Raises:
        SinkStandsStillError
    """
    clock, standstill = asyncio.get_running_loop().time, Standstill()
    looked_at = clock()
    while True:
        # No partitions for a moment, or no broker: the last number stays.
        with suppress(KafkaError, IllegalStateError, TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                status.lag_records = await _lag(consumer, in_flight)
            metrics.set("leadstream_sink_lag_records", status.lag_records, sink=name)
        now = clock()
        waits = not in_flight and (not status.joined or bool(consumer.assignment()))
        standstill.look(_sign_of_life(consumer, status), waits=waits, elapsed_seconds=now - looked_at)
        looked_at = now
        if standstill.seconds > STANDSTILL_SECONDS:
            what = "no fetch was answered" if status.joined else "the group gave it no partitions"
            raise SinkStandsStillError(f"sink {name} stops: {what} for {standstill.seconds:.0f} s")
        await asyncio.sleep(LOOK_SECONDS if status.joined else JOINING_LOOK_SECONDS)


def _sign_of_life(consumer: Any, status: SinkStatus) -> object:
    """Changes with each answer to a fetch, be it empty."""
    if not status.joined:
        return None
    return [consumer.last_poll_timestamp(partition) for partition in sorted(consumer.assignment())]


async def _lag(consumer: Any, in_flight: Mapping[Place, int]) -> int:
    ends = await consumer.end_offsets(list(consumer.assignment())) if consumer.assignment() else {}
    lag = 0
    for partition, end in ends.items():
        if partition not in consumer.assignment():
            continue  # it was taken away meanwhile
        # The embedded broker's end is too low after a batch of several records; the fetch high-watermark is right.
        last = max(end, consumer.highwater(partition) or 0)
        done = in_flight.get((partition.topic, partition.partition))
        lag += max(last - (await consumer.position(partition) if done is None else done), 0)
    return lag
