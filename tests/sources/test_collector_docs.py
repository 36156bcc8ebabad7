"""docs/collector.md says what the code does."""

import re
from pathlib import Path
from typing import get_args

import pytest

from schemas.metrics import METRICS
from schemas.records import TrackedEvent
from sources import attribution, completion, people, segment, times, values
from sources.config import Limits
from sources.http.rate_limits import KEY_BURST_SECONDS, VISITOR_BURST_SECONDS
from sources.http.requests import EVENTS_PATH, SEGMENT_PATHS
from sources.outcomes import Reason

DOCS = (Path(__file__).parents[2] / "docs" / "collector.md").read_text()


def rows(heading: str) -> dict[str, str]:
    """The first cell of each table row below the heading -> the whole row."""
    section = DOCS.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return {line.split("|")[1].strip(): line for line in lines[1:]}


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def test_every_route_is_listed() -> None:
    listed = {name.removeprefix("POST ") for cell in rows("Routes") for name in quoted(cell) if "/v1/" in name}
    assert listed == {*SEGMENT_PATHS, EVENTS_PATH}


def test_every_reason_is_listed() -> None:
    assert {name for cell in rows("Dead letters") for name in quoted(cell)} - {"reason"} == set(get_args(Reason))


def test_every_field_of_the_contract_is_mapped() -> None:
    mapped = {name for cell in rows("What becomes of a Segment call") for name in quoted(cell)} - {"TrackedEvent"}
    assert mapped == set(TrackedEvent.__annotations__)


def test_the_stated_orders_are_those_of_the_code() -> None:
    table = rows("What becomes of a Segment call")
    assert tuple(quoted(table["`click_id`"])[1 : len(attribution.CLICK_IDS) + 1]) == attribution.CLICK_IDS
    assert tuple(quoted(table["`asset`"])[1:]) == segment.ASSET_PROPERTIES


@pytest.mark.parametrize(
    "stated",
    [
        f"{Limits().body_bytes:,} bytes",
        f"{Limits().events:,} events",
        f"{Limits().requests_in_flight} requests",
        f"{Limits().read_seconds:g} s",
        f"{Limits().connections:,} connections",
        f"{Limits().idle_seconds:g} s",
        f"{Limits().read_bytes_at_once:,} bytes",
        f"{Limits().requests_per_second_per_key:,.0f}, and {Limits().requests_per_second_per_key * KEY_BURST_SECONDS:,.0f} at",
        f"{Limits().events_per_second_per_visitor:g}, and {Limits().events_per_second_per_visitor * VISITOR_BURST_SECONDS:g} at",
        f"{values.MAX_ITEM_BYTES:,} bytes",
        f"{values.MAX_DEPTH} levels",
        f"{values.MAX_NAMES} properties or traits",
        f"{values.MAX_NAME_CHARACTERS} characters",
        f"{values.MAX_TEXT_CHARACTERS:,} characters",
        f"{values.MAX_LIST_ITEMS} entries",
        f"{completion.MAX_URL_CHARACTERS:,} characters",
        f"{attribution.MAX_UTM_CHARACTERS} characters",
        f"{times.MAX_FUTURE_MS // 60_000} minutes",
        f"{times.LATE_MS // 86_400_000} days",
    ],
)
def test_every_limit_is_stated(stated: str) -> None:
    assert stated in " ".join(DOCS.split())


def test_derived_traits_and_metrics_are_named() -> None:
    assert set(quoted(DOCS.split("**Discarded**", 1)[1])) >= people.DERIVED_TRAITS
    named = {name.partition("{")[0] for name in quoted(DOCS.split("\n## Metrics\n", 1)[1])}
    assert {name for name in METRICS if name.startswith("leadstream_collector_")} <= named
