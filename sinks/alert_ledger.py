"""What the alerts sink remembers, in Redis: decisions, quiet periods, budgets and waiting digests, by record time.

Losing it costs at most one alert more per lead and route, and the list of a waiting digest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from schemas.records import Alert, StageTransition
from sinks import redis_keys
from sinks.redis_scripts import connect, ping, retry_when_away, script

HOUR_MS = 3_600_000
DAY_SECONDS = 86_400
# How long a decision stays, in real time: longer than any redelivery of a record.
KEEP_SECONDS = 8 * DAY_SECONDS

Decision = Literal["send", "sent", "quiet", "digest"]


@dataclass(frozen=True, slots=True)
class Decided:
    """`fresh`: decided by this call; else it is what was decided before."""

    fresh: bool
    channels: Mapping[str, Decision]


@dataclass(frozen=True, slots=True)
class Digest:
    """Alerts over budget of one channel and hour; `headlines` best first."""

    channel: str
    key: str
    headlines: list[str]


class AlertLedger:
    """Every method raises RetryLater when Redis is away; every one may be repeated."""

    def __init__(self, url: str) -> None:
        self._redis: Any = connect(url)  # redis-py types every answer as bytes or text
        self._decide = script(self._redis, "decide_alert")

    async def decide(self, transition: StageTransition, alert: Alert, headline: str) -> Decided:
        """Quiet per lead and route first, then the budget of each channel; what is over it waits for the digest."""
        at, key = transition["logged_at"], transition["lead_key"]
        window_ms = max(alert["budget_window_ms"], 1)
        hour = at // HOUR_MS
        channels = list(dict.fromkeys(alert["send_to"]))
        keys = [redis_keys.alert(transition["id"]), redis_keys.quiet(alert["route"], key), redis_keys.DIGESTS]
        for channel in channels:
            keys += [redis_keys.budget(channel, at // window_ms), redis_keys.digest(channel, hour)]
        # Real time to keep a state of record time: never shorter, as records are not played slower than they happened.
        keep = [KEEP_SECONDS, *(ms // 1000 + DAY_SECONDS for ms in (alert["quiet_period_ms"], window_ms))]
        args: list[Any] = [
            at,
            alert["quiet_period_ms"],
            alert["budget"],
            (hour + 1) * HOUR_MS,
            transition["score"],
            headline,
        ]
        with retry_when_away():
            fresh, pairs = await self._decide(keys, [*args, *keep, *channels])
        words = [each.decode() for each in pairs]
        return Decided(bool(fresh), dict(zip(words[::2], words[1::2], strict=True)))

    async def sent(self, transition_id: str, channel: str) -> None:
        with retry_when_away():
            await self._redis.hset(redis_keys.alert(transition_id), channel, "sent")

    async def due_digests(self, record_time_ms: int) -> list[Digest]:
        """The digests of every hour that is over at this record time."""
        with retry_when_away():
            due = await self._redis.zrange(redis_keys.DIGESTS, "-inf", record_time_ms, byscore=True)
            digests = []
            for entry in due:
                channel, _, key = entry.decode().partition("\n")
                lines = await self._redis.zrange(key, 0, -1, desc=True)
                digests.append(Digest(channel, key, [line.decode() for line in lines]))
        return digests

    async def digest_sent(self, digest: Digest) -> None:
        with retry_when_away():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.zrem(redis_keys.DIGESTS, f"{digest.channel}\n{digest.key}")
                pipe.delete(digest.key)
                await pipe.execute()

    async def healthy(self) -> str | None:
        return await ping(self._redis)

    async def close(self) -> None:
        await self._redis.aclose()
