"""The sink `redis`: the read model of leads, from the scores and transitions topics.

Every write happens only if it is newer, so a batch may come again, and the whole model may be rebuilt from the topics at
any time, over the old one or into an empty Redis. Commands of Redis 7.0 only.
"""

from collections.abc import Sequence
from math import log2
from typing import Any

from schemas.codec import encode
from schemas.keys import is_lead_key
from schemas.records import LeadSnapshot, ModelActivated, StageTransition
from sinks import redis_keys
from sinks.base import Delivery, Input, StartOver
from sinks.config import RedisSettings
from sinks.redis_scripts import connect, ping, retry_when_away, script

LOOKUP_TRAITS = ("email", "user_id", "anonymous_id")
LEAST_SCORE = 0.001  # what is below ranks by time alone
RANK_HALF_LIFE_MS = 30 * 86_400_000  # that of most rules; see `rank`
FORGOTTEN_SECONDS = 86_400


def rank(snapshot: LeadSnapshot) -> float:
    """Order of leads by what their score is worth now, with no clock: log2(score) + at / half-life.

    Exact while the rules of both leads fade by half in 30 days, else near enough to choose whom to price.
    """
    return log2(max(snapshot["score"], LEAST_SCORE)) + snapshot["at"] / RANK_HALF_LIFE_MS


def indexes(snapshot: LeadSnapshot) -> list[tuple[str, float]]:
    """Every sorted set that lists the lead, and its place there."""
    place = rank(snapshot)
    found = [(redis_keys.LEADS, place), (redis_keys.stage(snapshot["stage"]), place)]
    for trait in LOOKUP_TRAITS:
        value = snapshot["traits"].get(trait)
        if isinstance(value, str) and value:
            found.append((redis_keys.by_trait(trait, lookup_form(value)), float(snapshot["at"])))
    return found


def lookup_form(value: str) -> str:
    return value.strip().casefold()


def transition_member(transition: StageTransition) -> bytes:
    """The transition with its log position in front: byte order is log order, and a repeat is the same member."""
    place = f"{transition['epoch']:010d}{transition['offset']:020d}{transition['index']:06d}"
    return place.encode() + encode("StageTransition", transition)


MEMBER_PREFIX_BYTES = 36


class RedisLeads:
    """Raises `StartOver` once per partition when Redis does not know the partition, or less of it than was written: it is new,
    or came back empty or from an older state.
    """

    inputs: frozenset[Input] = frozenset({"scores", "transitions"})

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        self._redis: Any = connect(settings.url)  # redis-py types every answer as bytes or text
        self._store_lead = script(self._redis, "store_lead")
        self._forget_lead = script(self._redis, "forget_lead")
        self._add_transition = script(self._redis, "add_transition")
        self._activate_model = script(self._redis, "activate_model")
        self._asked: set[str] = set()  # positions for which the topics are being read from their beginning
        self._written: dict[str, int] = {}  # positions that this process has written

    async def open(self) -> None:
        """Nothing to do: the first command connects."""

    async def deliver(self, batch: Sequence[Delivery]) -> None:
        """One transaction for the batch, so a failure leaves all of it or nothing.

        WATCH makes it fail if Redis is emptied, or the sink runs twice, between the look at the positions and EXEC.
        """
        ends = {redis_keys.position(each.topic, each.partition): each.offset + 1 for each in batch}
        with retry_when_away():
            async with self._redis.pipeline(transaction=True) as pipe:
                await pipe.watch(redis_keys.POSITIONS)
                known = await pipe.hmget(redis_keys.POSITIONS, list(ends))
                lost = {
                    field
                    for field, value in zip(ends, known, strict=True)
                    if value is None or int(value) < self._written.get(field, 0)
                } - self._asked
                if lost:
                    self._asked |= lost
                    for field in lost:
                        self._written.pop(field, None)
                    raise StartOver(
                        f"Redis holds nothing, or not the latest, of {', '.join(sorted(lost))}",
                        everything=not await pipe.exists(redis_keys.POSITIONS),
                    )
                pipe.multi()
                for each in batch:
                    await self._write(pipe, each)
                pipe.hset(redis_keys.POSITIONS, mapping=ends)
                await pipe.execute()
        self._asked -= set(ends)
        self._written |= ends

    async def _write(self, pipe: Any, delivery: Delivery) -> None:
        if delivery.kind == "LeadSnapshot":
            await self._write_lead(pipe, delivery)
        elif delivery.kind == "StageTransition":
            await self._write_transition(pipe, delivery)
        elif delivery.kind == "ModelActivated":
            model: ModelActivated = delivery.record  # type: ignore[assignment]  # `kind` says which record it is
            args = (model["n"], model["version"], encode("ModelActivated", model))
            await self._activate_model([redis_keys.MODEL], args, pipe)
        elif is_lead_key(delivery.key):
            key = delivery.key.decode("utf-8", "surrogateescape")
            keys = [redis_keys.lead(key), redis_keys.transitions(key), redis_keys.FEED]
            await self._forget_lead(keys, (key, delivery.offset, FORGOTTEN_SECONDS), pipe)

    async def _write_lead(self, pipe: Any, delivery: Delivery) -> None:
        snapshot: LeadSnapshot = delivery.record  # type: ignore[assignment]  # `kind` says which record it is
        key = snapshot["lead_key"]
        version = (snapshot["epoch"], snapshot["offset"], delivery.offset)
        places = [part for index in indexes(snapshot) for part in index]
        args = (key, *version, encode("LeadSnapshot", snapshot), *places)
        await self._store_lead([redis_keys.lead(key)], args, pipe)

    async def _write_transition(self, pipe: Any, delivery: Delivery) -> None:
        transition: StageTransition = delivery.record  # type: ignore[assignment]  # `kind` says which record it is
        key, member = transition["lead_key"], transition_member(transition)
        kept = (self._settings.transitions_per_lead, self._settings.feed_length)
        args = (key, member, member[MEMBER_PREFIX_BYTES:], *kept)
        await self._add_transition([redis_keys.transitions(key), redis_keys.FEED], args, pipe)

    async def healthy(self) -> str | None:
        return await ping(self._redis)

    async def close(self) -> None:
        await self._redis.aclose()
