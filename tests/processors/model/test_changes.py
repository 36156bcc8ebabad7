"""What one model file changes in another."""

from typing import Literal

import pytest

from processors.model.changes import KeyChange, ModelChanges, PartChange, model_changes
from processors.model.scalars import duration_text
from processors.models import load_shipped

HEAD = "leadstream: 1\nname: m\n"
A = "{id: a, points: 5, when: {event: download}}"
B = "{id: b, points: 7, when: {event: page_view}}"


def rules(*texts: str) -> str:
    return HEAD + f"rules: [{', '.join(texts)}]\n"


def changes(before: str, after: str) -> ModelChanges:
    return model_changes(before, after)


@pytest.mark.parametrize(
    ("key", "before", "after", "told", "effect"),
    [
        ("points", "5", "10.5", ("5", "10.5"), "at once"),
        ("cap", None, "40", ("none", "40"), "at once"),
        ("tag_weight", None, "0.5", ("1", "0.5"), "at once"),
        ("half_life", "30d", "36h", ("30d", "36h"), "past: replay"),
        ("half_life", None, "never", ("30d", "never"), "past: replay"),
        ("keep", None, "70% per 7d", ("30d", "13.6d"), "past: replay"),
        ("limit", None, "{times: 2, per: day, by: asset}", ("none", "2 per day by asset"), "past: replay"),
        ("valid", None, "2026-03-01 to 2026-05-31", ("none", "2026-03-01 to 2026-05-31"), "past: replay"),
        ("per", None, "seconds", ("none", "seconds"), "past: replay"),
        ("activity", "true", "false", ("true", "false"), "past: replay"),
    ],
)
def test_a_key_of_a_rule_is_told_as_the_file_says_it_and_when_it_takes_effect(
    key: str, before: str | None, after: str, told: tuple[str, str], effect: Literal["at once", "past: replay"]
) -> None:
    def rule(value: str | None) -> str:
        fields = {"id": "a", "points": "5", "when": "{event: x}"} | ({} if value is None else {key: value})
        return rules("{" + ", ".join(f"{name}: {text}" for name, text in fields.items()) + "}")

    found = changes(rule(before), rule(after))
    name = "half_life" if key == "keep" else key
    assert found.keys == (KeyChange("a", name, *told, effect),)
    assert (found.added, found.removed, found.renamed, found.parts) == ((), (), (), ())


def test_a_condition_is_told_without_its_text() -> None:
    found = changes(rules(A), rules(A.replace("download", "signed_up")))
    assert found.keys == (KeyChange("a", "when", None, None, "past: replay"),)


def test_rules_come_and_go_and_a_rule_that_is_switched_off_is_gone() -> None:
    found = changes(rules(A), rules(A.replace("}}", "}, enabled: false}"), B))
    assert (found.added, found.removed, found.renamed) == (("b",), ("a",), ())


def test_a_renamed_rule_is_neither_added_nor_removed_and_its_changes_are_told() -> None:
    renamed = A.replace("id: a, points: 5", "id: z, was: a, points: 6")
    found = changes(rules(A), rules(renamed))
    assert (found.added, found.removed, found.renamed) == ((), (), (("a", "z"),))
    assert found.keys == (KeyChange("z", "points", "5", "6", "at once"),)
    assert changes(rules(renamed), rules(renamed)).renamed == (), "the name that it once had stays in the file"


@pytest.mark.parametrize(
    ("before", "after", "part", "effect"),
    [
        ("", "score: {cap: 100}", "score.cap", "at once"),
        ("", "mql: {enter: 70}", "stages.mql", "at once"),
        ("", "alerts: {quiet_period: 1h}", "alerts.quiet_period", "at once"),
        ("", "inactivity: [{after: 30d, points: -5}]", "inactivity", "at once"),
        ("", "fit: [{id: x, trait: t, cases: [{is: y, points: 1}]}]", "fit.x", "at once"),
        ("", "timezone: Asia/Shanghai", "timezone", "past: replay"),
        ("", "site: {hosts: a.example}", "site.hosts", "past: replay"),
        ("", "touchpoints: [{url: '/x', weight: 2}]", "touchpoints", "past: replay"),
        ("", "tags: [{id: t, match: {event: x}}]", "tags.t", "past: replay"),
        ("groups: {g: {cap: 4}}", "groups: {g: {cap: 5}}", "groups.g", "at once"),
        ("groups: {g: {cap: 4}}", "groups: {g: {cap: 4, pick: first}}", "groups.g", "past: replay"),
        (
            "dimensions: {engagement: {cap: 4}}",
            "dimensions: {engagement: {cap: 5}}",
            "dimensions.engagement",
            "at once",
        ),
    ],
)
def test_another_part_is_named_with_when_it_takes_effect(
    before: str, after: str, part: str, effect: Literal["at once", "past: replay"]
) -> None:
    found = changes(rules(A) + before, rules(A) + after)
    assert found.parts == (PartChange(part, effect),)
    assert found.keys == ()


def test_the_half_life_of_a_dimension_is_told_by_its_rules() -> None:
    found = changes(rules(A), rules(A) + "dimensions: {engagement: {half_life: 14d}}")
    assert found.keys == (KeyChange("a", "half_life", "30d", "14d", "past: replay"),)
    assert found.parts == ()


def test_the_order_of_rules_is_told() -> None:
    assert changes(rules(A, B), rules(B, A)).parts == (PartChange("order of rules", "past: replay"),)
    assert changes(rules(A), rules(B, A)).parts == (), "a new rule before it moves none"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: b2b-reference\n", "name: other\n"),
        ("name: Viewed pricing", "name: Looked at prices"),
        ("name: product tour", "name: the tour"),
        ("name: hot lead", "name: warm lead"),
    ],
)
def test_what_is_for_people_changes_nothing(old: str, new: str) -> None:
    text = load_shipped("reference")
    assert old in text
    assert changes(text, text.replace(old, new)) == ModelChanges((), (), (), (), ())


@pytest.mark.parametrize(
    ("value_ms", "text"),
    [(0, "0d"), (1000, "1s"), (90 * 60_000, "90m"), (7 * 86_400_000, "7d"), (float("inf"), "never")],
)
def test_a_duration_is_told_in_the_largest_unit_that_fits(value_ms: float, text: str) -> None:
    assert duration_text(float(value_ms)) == text
