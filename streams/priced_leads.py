"""Leads from the read model, priced for an instant: what a score is worth now, not when it was written."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from processors.active_model import ActiveModel
from processors.calendar import DAY_MS
from processors.model.model import ExitTerm, Stage
from processors.model_log import active_of
from processors.next_exit import exit_holds, first_exit
from processors.price import Price, row_of_snapshot
from schemas.records import LeadSnapshot
from schemas.rows import Row
from sinks.redis_reader import LeadReader
from sinks.redis_scripts import connect

HORIZON_MS = 400 * DAY_MS


class NoActiveModelError(LookupError):
    """The read model holds no model, so nothing can be priced."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """When (ms UTC) a lead leaves its stage if it does nothing, and by which condition."""

    stage: str
    at: int
    because: str


@dataclass(frozen=True, slots=True)
class PricedLead:
    """A lead as it stands at `price.at`; `leaving` None: it stays without an act, or sales owns its stage."""

    snapshot: LeadSnapshot
    active: ActiveModel
    price: Price
    leaving: Leaving | None

    @property
    def missing_points(self) -> tuple[str, float] | None:
        """The next better grade that points alone can reach, and how many it takes."""
        price = self.price
        bounds = [(mark, bound) for mark, bound in self.active.model.grade.score if bound > price.score]
        return None if not bounds else (price.grade[0] + bounds[-1][0], bounds[-1][1] - price.score)


@asynccontextmanager
async def lead_reader(redis_url: str) -> AsyncIterator[LeadReader]:
    client = connect(redis_url)
    try:
        yield LeadReader(client)
    finally:
        await client.aclose()


async def read_active_model(reader: LeadReader) -> ActiveModel:
    """The model that the read model knows.

    Raises:
        NoActiveModelError: none.
    """
    record = await reader.active_model()
    if record is None:
        raise NoActiveModelError
    return active_of(record)


def priced(snapshot: LeadSnapshot, active: ActiveModel, at: int) -> PricedLead:
    """The lead at `at` (ms UTC); a snapshot that is newer is taken as it is."""
    row = row_of_snapshot(snapshot)
    return PricedLead(snapshot, active, Price(row, active, max(at, snapshot["at"])), _leaving(row, active))


async def list_priced(
    reader: LeadReader, at: int, *, stage: str | None, grade: str | None, limit: int
) -> list[PricedLead]:
    """The leads that are worth most at `at`, best first; `grade`: only grades that begin so.

    The read model's order is near to that of today's scores, so somewhat more than `limit` are priced; with a grade all.

    Raises:
        NoActiveModelError: as `read_active_model`.
    """
    active = await read_active_model(reader)
    count = await reader.count_leads(stage) if grade else 2 * limit + 50
    found = [priced(snapshot, active, at) for snapshot in await reader.list_leads(stage, max(count, 1))]
    chosen = [lead for lead in found if grade is None or lead.price.grade.startswith(grade)]
    return sorted(chosen, key=lambda lead: -lead.price.score)[:limit]


def _leaving(row: Row, active: ActiveModel) -> Leaving | None:
    index = active.stage_index.get(row.stage)
    stage = None if index is None else active.model.stages[index]
    if stage is None or stage.owner != "score":
        return None
    at = first_exit(row, stage, active, row.now, row.now + HORIZON_MS)
    return None if at is None else Leaving(stage.id, at, _because(stage, Price(row, active, at)))


def _because(stage: Stage, price: Price) -> str:
    return " and ".join(_words(term) for term in stage.exit if exit_holds(replace(stage, exit=(term,)), price))


def _words(term: ExitTerm) -> str:
    if term.kind == "idle":
        return f"no act for {term.bound / DAY_MS:g} days"
    return f"{term.dimension if term.kind == 'dimension' else 'score'} below {term.bound:g}"
