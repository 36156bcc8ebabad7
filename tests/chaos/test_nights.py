"""What a `verify` beside the faults may come to, and what is a complaint. No process runs."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from streams.verification.report import Difference
from tests.chaos.nights import Nights, came_to

PLACE = "chaos.leadstream.rows.v1/1 offset 7 key b'1ada'"
UNREADABLE = {"where": PLACE, "what": "record", "live": "unreadable (unknown version 9)", "replayed": "a row"}
ROW = {"where": "lead 1ada", "what": "score", "live": "3", "replayed": "4"}


def _report(*differences: dict[str, str], lost: int = 0, counted_twice: int = 0) -> str:
    equal = not (differences or lost or counted_twice)
    return json.dumps(
        {"differences": list(differences), "lost": lost, "counted_twice": counted_twice, "equal": equal}, indent=2
    )


@pytest.mark.parametrize(
    ("code", "out", "what"),
    [
        (0, _report(), "equal"),
        (3, "", "broker away"),
        (1, _report(UNREADABLE), "damage named"),
        (0, "", None),
        (0, _report(ROW), None),
        (1, "", None),
        (1, _report(ROW), None),
        (1, _report(UNREADABLE, ROW), None),
        (1, _report(UNREADABLE, UNREADABLE), None),
        (1, _report(UNREADABLE | {"where": PLACE.replace("7", "8")}), None),
        (1, _report(UNREADABLE, lost=1), None),
        (1, _report(UNREADABLE, counted_twice=1), None),
        (4, _report(UNREADABLE), None),
        (None, "", None),
    ],
)
def test_only_equal_no_broker_and_the_damage_of_a_fault_may_be(code: int | None, out: str, what: str | None) -> None:
    assert came_to(code, out, {PLACE}) == what


def test_damage_is_named_as_the_report_names_it() -> None:
    assert set(UNREADABLE) == set(Difference.__slots__)


@pytest.mark.parametrize(("code", "out"), [(3, ""), (1, _report(UNREADABLE)), (1, _report(ROW))])
async def test_when_all_is_quiet_only_equal_will_do(code: int, out: str) -> None:
    async def leadstream(*_: str) -> tuple[int, str, str]:
        return code, out, ""

    site: Any = SimpleNamespace(
        complaints=set(), damaged={PLACE}, parts=SimpleNamespace(logs=Path("logs"), leadstream=leadstream)
    )
    nights = Nights(site)
    await nights.last()
    assert len(site.complaints) == 2  # from the last base, and from the first record
    assert not nights.came_to
