from collections import Counter

import pytest

from processors.models import load_shipped
from processors.play import Play
from schemas.records import TrackedEvent
from sources.completion import Completion
from sources.config import CollectorSettings
from sources.http.requests import SEGMENT_PATHS, CollectorRequest, Read, read_request
from sources.outcomes import Accepted
from streams.clock import DAY_MS
from streams.demo import cast
from streams.demo.run import START_MS
from streams.demo.site import PlayedRequest, iso, site_requests

SETTINGS = CollectorSettings(secret=b"0123456789abcdef")


@pytest.fixture(scope="module")
def requests() -> list[PlayedRequest]:
    return site_requests(seed=7, days=60, opening_ms=START_MS)


@pytest.fixture(scope="module")
def played(requests: list[PlayedRequest]) -> Play:
    """The whole site, scored without a broker, with a tick a day."""
    play, tick_ms = Play(load_shipped("reference")), START_MS
    for request in requests:
        while tick_ms <= request.at_ms:
            play.advance(tick_ms)
            tick_ms += DAY_MS
        for key, event in _events(request):
            play.take(key, "TrackedEvent", event, request.at_ms)
    play.advance(START_MS + 60 * DAY_MS)
    return play


def _events(request: PlayedRequest) -> list[tuple[bytes, TrackedEvent]]:
    asked = CollectorRequest(
        path=request.path,
        body=_body(request),
        received_at=request.at_ms,
        user_agent=request.headers["User-Agent"],
    )
    read = read_request(asked, SETTINGS, Completion(SETTINGS.secret))
    assert isinstance(read, Read), read
    accepted = [outcome for outcome in read.outcomes if isinstance(outcome, Accepted)]
    assert len(accepted) == len(read.outcomes)
    return [(outcome.key, outcome.event) for outcome in accepted]


def _body(request: PlayedRequest) -> bytes:
    import json

    return json.dumps({**request.body, "sentAt": iso(request.at_ms)}).encode()


def test_the_same_seed_gives_the_same_requests() -> None:
    assert site_requests(3, 6, START_MS) == site_requests(3, 6, START_MS)


def test_another_seed_gives_other_requests() -> None:
    assert site_requests(3, 6, START_MS) != site_requests(4, 6, START_MS)


def test_another_opening_moves_every_request_by_as_much() -> None:
    at = [request.at_ms for request in site_requests(3, 6, START_MS)]
    assert [request.at_ms - DAY_MS for request in site_requests(3, 6, START_MS + DAY_MS)] == at


def test_requests_come_in_the_order_of_time_and_within_the_days(requests: list[PlayedRequest]) -> None:
    times = [request.at_ms for request in requests]
    assert times == sorted(times)
    assert START_MS <= times[0] < START_MS + DAY_MS
    assert times[-1] < START_MS + 60 * DAY_MS


def test_sixty_days_have_about_two_hundred_events_a_day(requests: list[PlayedRequest]) -> None:
    assert 10_000 < sum(len(request.event_ids) for request in requests) < 15_000


def test_requests_have_the_shapes_of_segments_sdks(requests: list[PlayedRequest]) -> None:
    paths = Counter(request.path for request in requests)
    assert set(paths) == {"/v1/p", "/v1/t", "/v1/i", "/v1/batch"}
    assert set(paths) <= set(SEGMENT_PATHS)


def test_the_event_ids_of_a_request_are_those_that_the_collector_reads(requests: list[PlayedRequest]) -> None:
    for request in requests[:500]:
        assert tuple(event["event_id"] for _, event in _events(request)) == request.event_ids


def test_the_site_moves_leads_up_and_down(played: Play) -> None:
    moves = Counter((move["from_stage"], move["to_stage"]) for moves in played.transitions.values() for move in moves)
    assert moves["lead", "mql"] >= 30
    assert moves["mql", "recycled"] >= 10
    assert not played.dead_letters


def test_the_site_has_bots_repeats_and_late_events(played: Play) -> None:
    assert {"folded", "bot", "duplicate", "late"} <= set(played.outcomes)


def test_the_first_buyer_is_hot_within_a_week(played: Play) -> None:
    first = min(move["at"] for moves in played.transitions.values() for move in moves if move["to_stage"] == "mql")
    assert first < START_MS + 7 * DAY_MS


def test_every_named_person_works_at_a_domain_that_cannot_exist(played: Play) -> None:
    emails = [row.traits["email"][0] for _, row, _ in played.leads() if "email" in row.traits]
    assert len(emails) > 100
    assert all(str(email).endswith(".example") for email in emails)


def test_students_and_job_seekers_become_no_mql(played: Play) -> None:
    titles = {
        move["traits"]["title"] for moves in played.transitions.values() for move in moves if move["to_stage"] == "mql"
    }
    assert titles
    assert not titles & {"Student", "Designer"}


def test_companies_have_different_domains() -> None:
    assert len({company.domain for company in cast.COMPANIES}) == len(cast.COMPANIES)
