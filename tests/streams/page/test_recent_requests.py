"""What the page of `up` says of a request: what it scored, or why it scored nothing."""

from typing import Any

import pytest

from processors.model import read_model
from processors.models import load_shipped
from schemas.records import TrackedEvent
from sources.completion import Completion
from sources.outcomes import Accepted, Arrival
from sources.own_events import read_own_event
from streams.page.recent_requests import SHOWN, RecentRequests, ShownRequest

NOW = 1_772_442_000_000  # 2026-03-02T09:00:00Z
MODEL = read_model(load_shipped("reference"))
PRICING = {"type": "page_view", "anonymous_id": "b1", "url": "https://www.acme.example/pricing"}


def read(item: dict[str, Any]) -> tuple[TrackedEvent, bytes]:
    outcome = read_own_event(item, Arrival(received_at=NOW), Completion(b"secret"))
    assert isinstance(outcome, Accepted), outcome
    return outcome.event, outcome.key


def shown(item: dict[str, Any]) -> ShownRequest:
    requests = RecentRequests(lambda: NOW)
    requests.accept(*read(item))
    (request,) = requests.shown(MODEL)
    return request


def test_a_request_that_scores_names_its_rules() -> None:
    request = shown(PRICING)
    assert (request["outcome"], request["why"], request["at"]) == ("scored", "", NOW)
    assert request["points"] == [{"name": "Viewed pricing", "points": 15.0}]
    assert (request["event"], request["url"], request["lead"]) == ("page_view", PRICING["url"], "b1")


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"flags": {"bot": True}}, "a crawler or an automated browser"),
        (
            {"url": "http://localhost:3000/pricing"},
            "localhost is not one of the model's site.hosts (www.acme.example, docs.acme.example, mp.weixin.qq.com): add",
        ),
        ({"url": "https://www.acme.example/imprint"}, "fits no rule of the model"),
        (
            {"type": "pageview"},
            'fits no rule of the model; no rule names the event "pageview"; the nearest name is "page_view"',
        ),
        ({"occurred_at": NOW - 8 * 86_400_000}, "older than 7 days"),
        ({"type": "identify", "traits": {"email": "a@b.example", "title": "CTO"}}, "learned of the lead: email, title"),
    ],
)
def test_a_request_that_scores_nothing_says_why(more: dict[str, Any], why: str) -> None:
    request = shown({**PRICING, "url": None, **more})
    assert (request["outcome"], request["points"]) == ("nothing", [])
    assert why in request["why"]


def test_points_below_zero_are_shown_although_the_score_stops_at_zero() -> None:
    request = shown({**PRICING, "url": "https://www.acme.example/careers"})
    assert request["points"] == [{"name": "Looked at jobs", "points": -10.0}]


@pytest.mark.parametrize(
    ("ids", "lead"),
    [
        ({"anonymous_id": "b1"}, "b1"),
        ({"anonymous_id": "b1", "user_id": "u1"}, "u1"),
        ({"anonymous_id": "b1", "user_id": "u1", "traits": {"email": "a@b.example"}}, "a@b.example"),
    ],
)
def test_a_lead_is_named_by_the_best_that_the_request_said(ids: dict[str, Any], lead: str) -> None:
    assert shown({"type": "page_view", **ids})["lead"] == lead


def test_before_the_model_is_known_a_request_waits_and_is_explained_later() -> None:
    requests = RecentRequests(lambda: NOW)
    requests.accept(*read(PRICING))
    (waiting,) = requests.shown(None)
    assert (waiting["outcome"], waiting["why"]) == ("waiting", "waiting for the model")
    assert requests.shown(MODEL)[0]["outcome"] == "scored"


def test_the_last_ones_are_kept_newest_first_and_all_are_counted() -> None:
    requests = RecentRequests(lambda: NOW)
    for number in range(SHOWN + 5):
        requests.accept(*read({**PRICING, "anonymous_id": f"b{number}"}))
    requests.refuse("POST /v1/b", "http://my.test:3000", "403: this origin may not send")
    found = requests.shown(MODEL)
    assert requests.total == SHOWN + 6
    assert [each["number"] for each in found] == list(range(SHOWN + 6, 6, -1))
    assert (found[0]["outcome"], found[0]["url"]) == ("refused", "http://my.test:3000")


def test_text_cannot_turn_around_what_follows_or_hide() -> None:
    request = shown({**PRICING, "anonymous_id": "b\u202e1", "url": "https://www.acme.example/\x07\u200b"})
    assert (request["lead"], request["url"]) == ("b�1", "https://www.acme.example/��")


def test_no_text_from_outside_is_shown_in_full_length() -> None:
    long = "x" * 3000
    request = shown({"type": "page_view", "anonymous_id": "b1", "url": f"https://{long}/", "traits": {"email": long}})
    requests = RecentRequests(lambda: NOW)
    requests.refuse(long, long, long)
    for each in (request, requests.shown(MODEL)[0]):
        assert max(len(str(value)) for value in each.values()) < 800
