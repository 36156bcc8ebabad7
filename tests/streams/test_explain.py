from typing import Any

import pytest

from processors.model import ScoringModel, read_model
from processors.models import load_shipped
from streams.explain import explain_event
from tests.streams.page.test_recent_requests import MODEL, NOW, PRICING, read


@pytest.mark.parametrize(
    ("more", "outcome", "rules"),
    [
        ({}, "folded", ["pricing-page"]),
        ({"occurred_at": NOW - 40 * 86_400_000}, "late", []),
        ({"flags": {"bot": True}}, "bot", []),
        ({"url": "https://elsewhere.example/pricing"}, "foreign_host", []),
    ],
)
def test_what_does_not_count_has_no_points(more: dict[str, Any], outcome: str, rules: list[str]) -> None:
    found = explain_event(MODEL, read({**PRICING, **more})[0])
    assert (found["outcome"], found["rules"], [part["id"] for part in found["receipt"]]) == (outcome, rules, rules)


MINIMAL = read_model(load_shipped("minimal"))
MISTYPED = read_model(load_shipped("minimal").replace("page_view", "pageview"))
PATTERN = read_model("leadstream: 1\nname: x\nrules: [{id: a, points: 1, when: {event: form_*}}]")


@pytest.mark.parametrize(
    ("model", "more", "hint"),
    [
        (MINIMAL, {"type": "pageview"}, 'no rule names the event "pageview"; the nearest name is "page_view"'),
        (MISTYPED, {"type": "page_view"}, 'no rule names the event "page_view"; the nearest name is "pageview"'),
        (MINIMAL, {"type": "order_completed"}, 'no rule names the event "order_completed"'),
        (MINIMAL, {"type": "page_left"}, 'no rule names the event "page_left"'),
        (MINIMAL, {"url": "https://www.acme.example/imprint"}, ""),
        (MINIMAL, {}, ""),
        (MODEL, {"type": "pageview"}, 'no rule names the event "pageview"; the nearest name is "page_view"'),
        (MODEL, {"type": "pageview", "flags": {"bot": True}}, ""),
        (PATTERN, {"type": "pageview"}, ""),
    ],
)
def test_an_event_that_no_rule_names_is_told_with_the_nearest_that_one_names(
    model: ScoringModel, more: dict[str, Any], hint: str
) -> None:
    assert explain_event(model, read({**PRICING, **more})[0])["hint"] == hint
