"""The tests that a model file carries: given these acts, expect this."""

from dataclasses import dataclass
from datetime import datetime

from processors.active_model import ActiveModel
from processors.advance import advance
from processors.calendar import DAY_MS
from processors.fold_lead import fold_event, fold_feedback, new_row
from processors.model import ScoringModel, event_from_fields, known_traits
from processors.model.model import ModelTest
from processors.model.zones import zone
from processors.moves import Cause
from processors.price import Price
from processors.take_traits import take_traits
from schemas.records import Feedback, TrackedEvent
from schemas.rows import Row

_KEY = b"1model-test"


@dataclass(frozen=True, slots=True)
class Failure:
    test: str
    line: int
    at_ms: float
    expected: str
    found: str

    def __str__(self) -> str:
        at = f"{self.at_ms / DAY_MS:g}d"
        return f'test "{self.test}" (line {self.line}), at {at}: expected {self.expected}; found {self.found}'


def run_model_tests(model: ScoringModel, only: str = "") -> tuple[int, list[Failure]]:
    """Run the tests whose name contains `only`; returns how many ran, and what failed."""
    chosen = [test for test in model.tests if only.casefold() in test.name.casefold()]
    return len(chosen), [failure for test in chosen for failure in _run(test, model)]


def start_of_tests_ms(model: ScoringModel) -> int:
    """Monday 2026-03-02, 09:00 in the model's time zone, as ms UTC."""
    return int(datetime(2026, 3, 2, 9, tzinfo=zone(model.timezone)).timestamp() * 1000)


def _run(test: ModelTest, model: ScoringModel) -> list[Failure]:
    start = start_of_tests_ms(model)
    active = ActiveModel(model, n=1, at=start)
    row = new_row(start, active)
    known = {f"traits.{name}": value for name, value in known_traits(test.traits).items()}
    take_traits(row, event_from_fields(known, start), start, b"")
    failures: list[Failure] = []
    given = sorted(enumerate(test.given), key=lambda numbered: (numbered[1][0], numbered[0]))
    for at_ms, expected in sorted(test.expect, key=lambda entry: entry[0]):
        while given and given[0][1][0] <= at_ms:
            number, (act_ms, fields) = given.pop(0)
            at = start + int(act_ms)
            told = fields["feedback"] if "feedback" in fields else event_from_fields(fields, at)
            _fold(row, told, Cause(_KEY, (1, number), at), active)
        at = start + int(at_ms)
        advance(row, at, Cause(_KEY, (2, 0), at), active)
        price = Price(row, active, at)
        failures += [
            Failure(test.name, test.line, at_ms, text, _summary(price))
            for text, holds in expected.items()
            if not holds(price)
        ]
    return failures


def _fold(row: Row, given: TrackedEvent | str, cause: Cause, active: ActiveModel) -> None:
    if isinstance(given, str):
        number = cause.version[1]
        feedback = Feedback(
            word=given, system="test", object="test", version=number, silent=False, user=None, reason=None
        )
        fold_feedback(row, feedback, cause, active)
    else:
        fold_event(row, given, cause, active)


def _summary(price: Price) -> str:
    return f"stage {price.stage}, score {price.score:g}, fit {price.fit:g}, grade {price.grade}"
