"""Reads back what `sinks/redis_leads.py` wrote. Scores are as of `snapshot["at"]`; the caller prices them for now."""

from collections.abc import Iterable
from typing import Any, cast

from redis.asyncio import Redis

from schemas.codec import decode
from schemas.keys import ANONYMOUS, USER
from schemas.records import LeadSnapshot, ModelActivated, StageTransition
from sinks import redis_keys
from sinks.redis_leads import LOOKUP_TRAITS, MEMBER_PREFIX_BYTES, lookup_form


class LeadReader:
    """Raises `redis.exceptions.RedisError` when Redis cannot be asked."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Any = redis  # redis-py types every answer as bytes or text; `connect` says bytes

    async def find_lead(self, text: str) -> LeadSnapshot | None:
        """By lead key, anonymous id, user id or e-mail, in this order; of several with one e-mail the latest changed."""
        for key in (text, ANONYMOUS + text, USER + text):
            if (lead := await self._lead(key)) is not None:
                return lead
        for trait in LOOKUP_TRAITS:
            for key in await self._redis.zrange(redis_keys.by_trait(trait, lookup_form(text)), 0, 0, desc=True):
                if (lead := await self._lead(key.decode())) is not None:
                    return lead
        return None

    async def list_leads(self, stage: str | None = None, limit: int = 50) -> list[LeadSnapshot]:
        """The leads that are worth most now (`redis_leads.rank`), best first."""
        index = redis_keys.LEADS if stage is None else redis_keys.stage(stage)
        keys = await self._redis.zrange(index, 0, limit - 1, desc=True)
        async with self._redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hget(redis_keys.lead(key.decode()), "body")
            return _snapshots(await pipe.execute())

    async def count_leads(self, stage: str | None = None) -> int:
        return int(await self._redis.zcard(redis_keys.LEADS if stage is None else redis_keys.stage(stage)))

    async def transitions_of(self, lead_key: str) -> list[StageTransition]:
        """The last transitions of the lead, newest first."""
        members = await self._redis.zrange(redis_keys.transitions(lead_key), 0, -1, desc=True)
        return [cast("StageTransition", decode(member[MEMBER_PREFIX_BYTES:])[1]) for member in members]

    async def latest_transitions(self, limit: int = 50) -> list[StageTransition]:
        """Of all leads, newest first."""
        entries = await self._redis.xrevrange(redis_keys.FEED, count=limit)
        return [cast("StageTransition", decode(fields[b"transition"])[1]) for _, fields in entries]

    async def active_model(self) -> ModelActivated | None:
        body = await self._redis.hget(redis_keys.MODEL, "body")
        return None if body is None else cast("ModelActivated", decode(body)[1])

    async def _lead(self, key: str) -> LeadSnapshot | None:
        found = _snapshots([await self._redis.hget(redis_keys.lead(key), "body")])
        return found[0] if found else None


def _snapshots(bodies: Iterable[bytes | None]) -> list[LeadSnapshot]:
    return [cast("LeadSnapshot", decode(body)[1]) for body in bodies if body is not None]
