"""The model in force and the leads of now, as the read model in Redis tells them: for explanations, never for scoring."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from redis.exceptions import RedisError

from processors.active_model import ActiveModel
from processors.model import ScoringModel
from processors.model_log import ModelRecordError, active_of
from processors.price import price
from schemas.records import LeadSnapshot, TrackedEvent
from sinks.redis_reader import LeadReader
from sinks.redis_scripts import connect
from sources.http.answers import Explained
from streams.explain import explain_event
from streams.page.dev_page import LeadNow

log = logging.getLogger(__name__)

_FIRST_SECONDS, _POLL_SECONDS = 0.2, 5.0  # until a model is known, and after that


class WatchedModel:
    """Read again every few seconds. Nothing here fails because Redis is away: there is just no explanation."""

    def __init__(self, reader: LeadReader, now_ms: Callable[[], int]) -> None:
        self._reader = reader
        self._now_ms = now_ms
        self._active: ActiveModel | None = None
        self._body = b""

    def model(self) -> ScoringModel | None:
        """None while no model is known."""
        return None if self._active is None else self._active.model

    def explain(self, event: TrackedEvent) -> Explained | None:
        """The outcome, the receipt and a hint of one act by itself; None while no model is known."""
        if self._active is None:
            return None
        found = explain_event(self._active.model, event)
        return Explained(found["outcome"], found["receipt"], found["hint"])

    async def leads_now(self, keys: Sequence[str]) -> dict[str, LeadNow]:
        """Those of the keys that were scored already."""
        found: dict[str, LeadNow] = {}
        with contextlib.suppress(RedisError):
            for key in keys:
                snapshot = await self._reader.find_lead(key)
                if snapshot is not None and snapshot["lead_key"] == key and self._active is not None:
                    found[key] = self._lead_now(snapshot, self._active)
        return found

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._read()
            except (RedisError, ModelRecordError) as error:
                log.debug("no model for explanations: %s", type(error).__name__)
            await asyncio.sleep(_FIRST_SECONDS if self._active is None else _POLL_SECONDS)

    async def _read(self) -> None:
        activated = await self._reader.active_model()
        if activated is not None and activated["body"] != self._body:
            self._active = active_of(activated)
            self._body = activated["body"]

    def _lead_now(self, snapshot: LeadSnapshot, active: ActiveModel) -> LeadNow:
        priced = price(snapshot, active, max(self._now_ms(), snapshot["at"]))
        email = snapshot["traits"].get("email", "")
        who = email if isinstance(email, str) else ""
        return LeadNow(who=who, score=priced.score, stage=snapshot["stage"], grade=priced.grade)


@asynccontextmanager
async def watched_model(redis_url: str, now_ms: Callable[[], int]) -> AsyncIterator[WatchedModel]:
    redis = connect(redis_url)
    watched = WatchedModel(LeadReader(redis), now_ms)
    task = asyncio.create_task(watched.watch())
    try:
        yield watched
    finally:
        while not task.done():  # redis-py loses a cancellation that comes while it connects
            task.cancel()
            await asyncio.wait([task], timeout=0.1)
        await redis.aclose()
