from typing import Any

import pytest

from streams.explain import explain_event
from tests.streams.test_recent_requests import MODEL, NOW, PRICING, read


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
