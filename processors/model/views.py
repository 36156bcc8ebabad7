"""What a condition may ask: about one act, and about one lead at one instant."""

from typing import Protocol

from schemas.records import Text, Touch, TrackedEvent


class Act:
    """One event at its effective time `at` (ms UTC: `occurred_at`, never after the record)."""

    __slots__ = ("at", "event")

    def __init__(self, event: TrackedEvent, at: int) -> None:
        self.event = event
        self.at = at


class LeadView(Protocol):
    """A lead as a condition sees it: priced at one instant. Numbers are rounded to 1e-6."""

    @property
    def known(self) -> bool: ...
    @property
    def score(self) -> float: ...
    @property
    def fit(self) -> float: ...
    @property
    def grade(self) -> str: ...
    @property
    def stage(self) -> str: ...
    @property
    def idle_ms(self) -> float | None:
        """Time since the last act with `activity`; None: there was none."""

    @property
    def in_stage_ms(self) -> float: ...
    @property
    def first_touch(self) -> Touch | None: ...
    @property
    def last_touch(self) -> Touch | None: ...

    def dimension(self, name: str) -> float: ...
    def tag(self, name: str) -> float: ...
    def rfm(self, name: str) -> int:
        """`recency`, `frequency` or `depth`: 4 (best) to 1."""

    def trait(self, name: str) -> Text | None: ...
    def did(self, rule: str, within_ms: float) -> bool:
        """Did an act fit the rule, paid or not, at most so long ago?"""
