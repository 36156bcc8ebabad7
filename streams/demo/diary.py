"""What one visitor does, written down act by act."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from schemas.records import Scalar
from streams.clock import DAY_MS
from streams.demo.cast import Visitor
from streams.demo.pages import DIRECT, PAID_SEARCH, Page

HOUR_MS = DAY_MS // 24
Arrival = tuple[str, str]
"""(query of the landing page, referrer)"""


@dataclass(frozen=True, slots=True)
class Act:
    """One call of a tracking SDK. `at_ms` counts from the opening of the site."""

    at_ms: int
    visitor: Visitor
    call: Literal["page", "track", "identify"]
    event: str = ""
    url: str = ""
    title: str = ""
    referrer: str = ""
    properties: Mapping[str, Scalar] = field(default_factory=dict)


class Diary:
    """Acts of one visitor; each follows the one before after seconds or minutes."""

    def __init__(self, visitor: Visitor, rng: Random) -> None:
        self.acts: list[Act] = []
        self._visitor = visitor
        self._rng = rng
        self._at_ms = 0
        self._page: Page | None = None
        self._shown = ""

    def come(self, day: float, arrival: Arrival = DIRECT, *pages: Page) -> None:
        """A visit on a day (0: the first): lands on the first page by `arrival` and reads them all."""
        # The audience sits in three time zones, so that the site is never empty, and fullest by day.
        hour = (self._rng.choice((1, 8, 15)) + self._rng.triangular(0, 10, 4)) % 24
        self._at_ms = max(self._at_ms + HOUR_MS // 2, int(int(day) * DAY_MS + hour * HOUR_MS))
        query, referrer = arrival
        if arrival == PAID_SEARCH:
            query += f"{self._rng.getrandbits(64):016x}"
        for page in pages:
            self._open(page, query, referrer)
            query, referrer = "", page.url

    def track(self, event: str, **properties: Scalar) -> None:
        """An act on the page that is open; `webinar_title` is written for `webinar.title` (see docs/collector.md)."""
        self._pass(5, 60)
        page = self._page
        self.acts.append(
            Act(
                self._at_ms,
                self._visitor,
                "track",
                event=event,
                url=self._shown,
                title=page.title if page else "",
                properties=properties,
            )
        )

    def identify(self) -> None:
        self._pass(2, 10)
        self.acts.append(Act(self._at_ms, self._visitor, "identify", properties=self._visitor.traits))

    def read(self) -> None:
        """Stays on the page for some minutes, then leaves it."""
        seconds = self._rng.randrange(60, 400)
        self._at_ms += seconds * 1000
        self.track("page_left", seconds=seconds)

    def _open(self, page: Page, query: str, referrer: str) -> None:
        self._pass(15, 120)
        self._page, self._shown = page, page.url + query
        self.acts.append(Act(self._at_ms, self._visitor, "page", url=self._shown, title=page.title, referrer=referrer))

    def _pass(self, least_seconds: int, most_seconds: int) -> None:
        self._at_ms += self._rng.randrange(least_seconds, most_seconds) * 1000
