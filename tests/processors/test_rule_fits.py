"""Which rules no act fits, and what is told of them."""

from typing import Any

import pytest

from processors.model import event_from_fields, read_model
from processors.rule_fits import RuleFits

DAY = 86_400_000
NOW = 1_772_442_000_000  # 2026-03-02T09:00Z
HEAD = "leadstream: 1\nname: m\nrules:\n"
TRIAL = "  - {id: trial, points: 5, when: {event: trial_started}}\n"


def fits_of(*acts: dict[str, Any], rules: str = TRIAL) -> RuleFits:
    fits = RuleFits(read_model(HEAD + rules))
    for fields in acts:
        event = event_from_fields({name: value for name, value in fields.items() if name != "bot"}, NOW)
        event["flags"] = {"bot": fields.get("bot", False), "late": False, "clamped": False}
        fits.see(event, NOW)
    return fits


def told(fits: RuleFits) -> dict[str, str]:
    return dict(fits.unfitted(NOW - 30 * DAY, NOW + 1, "30 days"))


def test_a_rule_that_an_act_fits_is_not_told() -> None:
    assert told(fits_of({"event": "Trial Started"})) == {}


def test_a_type_that_never_came_is_told_with_the_nearest_that_did() -> None:
    acts = [{"event": "trial_start"}] * 212 + [{"event": "page_view"}] * 500
    assert told(fits_of(*acts)) == {
        "trial": 'no event "trial_started" in the last 30 days. Seen: trial_start (212 times)'
    }


def test_where_no_type_is_near_none_is_told() -> None:
    assert told(fits_of({"event": "download"})) == {"trial": 'no event "trial_started" in the last 30 days.'}
    assert told(fits_of({"event": "trial_start"}))["trial"].endswith(" Seen: trial_start (once)")


def test_where_the_type_came_its_other_conditions_are_to_blame() -> None:
    rule = "  - {id: prices, points: 5, when: {event: page_view, url: '*/pricing*'}}\n"
    acts = [{"event": "page_view", "url": "https://a.example/price"}] * 3
    assert told(fits_of(*acts, rules=rule)) == {
        "prices": 'no event "page_view" of the last 30 days fits (3 seen). Look at its other conditions.'
    }


def test_a_rule_of_any_type_is_held_against_all_events() -> None:
    rule = "  - {id: spring, points: 5, when: {utm.campaign: 'spring*'}}\n"
    assert told(fits_of({"event": "a"}, {"event": "b"}, rules=rule)) == {
        "spring": "no event of the last 30 days fits (2 seen)."
    }


def test_acts_of_bots_fit_nothing_and_are_not_counted() -> None:
    fits = fits_of({"event": "trial_started", "bot": True}, {"event": "x"})
    assert fits.seen == 1
    assert list(told(fits)) == ["trial"]


@pytest.mark.parametrize(
    ("valid", "is_told"),
    [
        ("2025-01-01 to 2025-12-31", False),
        ("2026-04-01 to 2026-05-31", False),
        ("2026-02-25 to 2026-12-31", True),
    ],
)
def test_a_rule_that_was_not_valid_in_that_time_is_not_told(valid: str, *, is_told: bool) -> None:
    fits = fits_of({"event": "x"}, rules=TRIAL.replace("}}", f"}}, valid: {valid}}}"))
    assert ("trial" in told(fits)) is is_told
