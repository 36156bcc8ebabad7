"""When a lead that has just moved will leave its new stage if nothing more happens: what an alert announces."""

import asyncio
import logging

from aiokafka.errors import KafkaError

from processors.active_model import ActiveModel
from processors.model_log import active_of
from processors.next_exit import first_exit
from schemas.records import StageTransition
from schemas.rows import Row, Tally, UnreadableRowError
from streams.clock import DAY_MS
from streams.kafka.brokers import Brokers
from streams.kafka.provision import admin_client, partition_counts
from streams.kafka.topics import Topics
from streams.kafka.trouble import why_away
from streams.model_records import Rank, active_model

log = logging.getLogger(__name__)

_HORIZON_MS = 400 * DAY_MS
_READ_SECONDS = 5.0  # an alert that waits for its model waits no longer
_RETRY_SECONDS = 60.0


class AnnouncedExits:
    """`announced_exit` for whoever does not know the model: it is read from the log, again when a newer one has moved
    a lead. While it cannot be read, nothing is announced.
    """

    def __init__(self, brokers: Brokers, topics: Topics) -> None:
        self._brokers = brokers
        self._topics = topics
        self._active: ActiveModel | None = None
        self._not_before = 0.0  # in the loop's time

    async def of(self, transition: StageTransition) -> int | None:
        """As `announced_exit`; None also while the model is not known."""
        rank = (transition["model"]["n"], transition["model"]["version"])
        if self._rank() < rank:
            await self._read_model()
        if self._active is None or self._rank() < rank:
            return None
        return announced_exit(transition, self._active)

    def _rank(self) -> Rank:
        return (0, "") if self._active is None else (self._active.n, self._active.model.version)

    async def _read_model(self) -> None:
        now = asyncio.get_running_loop().time
        if now() < self._not_before:
            return
        brokers, topics = self._brokers, self._topics
        try:
            async with asyncio.timeout(_READ_SECONDS):
                async with admin_client(brokers) as admin:
                    partitions = (await partition_counts(admin))[topics.events]
                found = await active_model(brokers, topics, partitions)
        except (KafkaError, OSError, KeyError, UnreadableRowError) as error:  # OSError: also a timeout
            log.warning("alerts do not say when leads cool down: the model cannot be read (%s)", why_away(error))
            self._not_before = now() + _RETRY_SECONDS
        else:
            if found is not None:
                self._active = active_of(found)


def announced_exit(transition: StageTransition, active: ActiveModel) -> int | None:
    """The instant in ms UTC, to a second; None: not within 400 days. Solved from the receipt, which has all units."""
    stage = next((stage for stage in active.model.stages if stage.id == transition["to_stage"]), None)
    if stage is None:
        return None
    at = transition["at"]
    return first_exit(_row(transition, active), stage, active, at, at + _HORIZON_MS)


def _row(transition: StageTransition, active: ActiveModel) -> Row:
    """As much of the row as prices a score."""
    at, rules = transition["at"], active.rules
    tallies = {
        part["id"]: Tally(rules[part["id"]].half_life_ms, part["units"])
        for part in transition["receipt"]
        if part["kind"] == "rule" and part["id"] in rules
    }
    lasts = [part["last_at"] for part in transition["receipt"] if part["id"] in tallies and rules[part["id"]].activity]
    return Row(
        now=at,
        ref=at,
        stage=transition["to_stage"],
        entered_at=at,
        tallies=tallies,
        last_at=max((last for last in lasts if last is not None), default=None),
    )
