"""The alerts sink, run inside the demo so that it can be seen to the millisecond when somebody is told."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from processors.active_model import ActiveModel
from schemas.metrics import Metrics
from schemas.records import StageTransition
from sinks.alert_text import AlertText
from sinks.alerts import AlertsSink
from sinks.base import Delivery, Input, SinkError
from sinks.config import AlertsSettings
from streams.announced_exit import announced_exit
from streams.delivery.delivery import SinkStatus
from streams.delivery.runner import SinkRun, run_sink
from streams.settings.brokers import read_brokers
from streams.settings.config import Settings, clock_of, topics_of


@dataclass(frozen=True, slots=True)
class ShownAlert:
    """`told_at` is real time in ms UTC; `transition` is the one being delivered, for which a digest may come too."""

    text: AlertText
    transition: StageTransition
    told_at: int


class DemoChannel:
    """Every channel of the model. `current` is the transition that the sink is telling of."""

    def __init__(self, now_ms: Callable[[], int], on_alert: Callable[[ShownAlert], None]) -> None:
        self._now_ms = now_ms
        self._on_alert = on_alert
        self.current: StageTransition | None = None

    async def send(self, text: AlertText) -> None:
        if self.current is not None:
            self._on_alert(ShownAlert(text, self.current, self._now_ms()))


class OneByOne:
    """A sink that delivers one record after the other and tells the channel which; an alert's text does not say."""

    def __init__(self, sink: AlertsSink, channel: DemoChannel) -> None:
        self._sink = sink
        self._channel = channel
        self.inputs: frozenset[Input] = sink.inputs

    async def open(self) -> None:
        await self._sink.open()

    async def deliver(self, batch: Sequence[Delivery]) -> None:
        for done, each in enumerate(batch):
            self._channel.current = cast("StageTransition", each.record)
            try:
                await self._sink.deliver([each])
            except SinkError as error:
                error.done = done
                raise

    async def healthy(self) -> str | None:
        return await self._sink.healthy()

    async def close(self) -> None:
        await self._sink.close()


async def run_alerts(
    settings: Settings, active: ActiveModel, channel: DemoChannel, metrics: Metrics, status: SinkStatus
) -> None:
    """Tell of transitions until cancelled. `status.joined` says when it has its partitions."""

    async def next_exit(transition: StageTransition) -> int | None:
        return announced_exit(transition, active)

    sink = AlertsSink(
        AlertsSettings(redis_url=settings.redis.url),
        {},
        metrics=metrics,
        fallback=channel,
        next_exit=next_exit,
    )
    run = SinkRun(
        name="alerts",
        topics=topics_of(settings),
        kafka=read_brokers(settings.kafka).client_arguments(),
        session_timeout_ms=6_000,
        fetch_wait_ms=25,
    )
    await run_sink(
        run,
        OneByOne(sink, channel),
        metrics=metrics,
        now_ms=clock_of(settings).now_ms,
        stop=asyncio.Event(),
        status=status,
    )
