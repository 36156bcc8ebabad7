"""The sink `alerts`: tells people of the transitions for which the model names somebody to tell.

The fold has chosen the route; here the quiet period, the budget and the digest are kept, by record time, and the text
goes to the channels. At least once per channel and transition id: a crash between the service's answer and our note of
it shows an alert twice.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import cast

from schemas.metrics import Metrics
from schemas.records import Alert, StageTransition
from sinks.alert_ledger import AlertLedger, Digest
from sinks.alert_text import alert_text, digest_text, headline
from sinks.base import Delivery, Input, SinkError, Undeliverable
from sinks.channels import Channel
from sinks.config import AlertsSettings

log = logging.getLogger(__name__)

NextExit = Callable[[StageTransition], Awaitable[int | None]]
"""When (ms UTC) the lead will leave its new stage if nothing happens; None: never, or not known. It raises nothing."""


class AlertsSink:
    """`channels` by name; `fallback` takes what a channel without settings should get (None: such an alert is
    undeliverable). `next_exit` solves what the model alone can tell (None: alerts do not say it).
    """

    inputs: frozenset[Input] = frozenset({"transitions"})

    def __init__(
        self,
        settings: AlertsSettings,
        channels: Mapping[str, Channel],
        *,
        metrics: Metrics,
        fallback: Channel | None = None,
        next_exit: NextExit | None = None,
    ) -> None:
        self._settings = settings
        self._channels = channels
        self._fallback = fallback
        self._next_exit = next_exit
        self._metrics = metrics
        self._ledger = AlertLedger(settings.redis_url)

    async def open(self) -> None:
        """Nothing to do: the first command connects."""

    async def deliver(self, batch: Sequence[Delivery]) -> None:
        for done, each in enumerate(batch):
            if each.kind != "StageTransition":
                continue
            try:
                await self._tell(cast("StageTransition", each.record))
            except SinkError as error:
                error.done = done
                raise

    async def _tell(self, transition: StageTransition) -> None:
        await self._send_digests(transition["logged_at"])
        alert = transition["alert"]
        if alert is None:
            return
        targets = self._targets(alert)
        first_line = headline(transition, self._settings.shown_traits)
        decided = await self._ledger.decide(transition, alert, first_line)
        for name, decision in decided.channels.items():
            if decision == "send":
                await self._send(transition, name, targets[name])
            elif decided.fresh:
                self._metrics.count("leadstream_alerts_decided_total", channel=name, decision=decision)

    async def _send(self, transition: StageTransition, name: str, channel: Channel) -> None:
        settings = self._settings
        until = await self._next_exit(transition) if self._next_exit is not None else None
        await channel.send(alert_text(transition, settings.shown_traits, settings.timezone, until))
        self._metrics.count("leadstream_alerts_decided_total", channel=name, decision="sent")
        await self._ledger.sent(transition["id"], name)

    async def _send_digests(self, record_time_ms: int) -> None:
        for digest in await self._ledger.due_digests(record_time_ms):
            await self._send_digest(digest)

    async def _send_digest(self, digest: Digest) -> None:
        channel = self._channels.get(digest.channel) or self._fallback
        if channel is None:  # its settings were taken away while the digest waited
            log.warning(
                "alerts: channel %s has no settings; %d alerts of its digest are dropped",
                digest.channel,
                len(digest.headlines),
            )
        elif digest.headlines:
            await channel.send(digest_text(digest.headlines))
            self._metrics.count("leadstream_alerts_digests_total", channel=digest.channel)
        await self._ledger.digest_sent(digest)

    def _targets(self, alert: Alert) -> dict[str, Channel]:
        targets: dict[str, Channel] = {}
        for name in alert["send_to"]:
            channel = self._channels.get(name) or self._fallback
            if channel is None:
                raise Undeliverable(f"route {alert['route']!r} names channel {name!r}, which has no settings")
            targets[name] = channel
        return targets

    async def healthy(self) -> str | None:
        return await self._ledger.healthy()

    async def close(self) -> None:
        await self._ledger.close()
