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
        ("half_life", "30d", "36h", ("30d", "36h"), "from now on"),
        ("half_life", None, "never", ("30d", "never"), "from now on"),
        ("keep", None, "70% per 7d", ("30d", "13.6d"), "from now on"),
        ("limit", None, "{times: 2, per: day, by: asset}", ("none", "2 per day by asset"), "from now on"),
        ("valid", None, "2026-03-01 to 2026-05-31", ("none", "2026-03-01 to 2026-05-31"), "from now on"),
        ("per", None, "seconds", ("none", "seconds"), "from now on"),
        ("activity", "true", "false", ("true", "false"), "from now on"),
    ],
)
def test_a_key_of_a_rule_is_told_as_the_file_says_it_and_when_it_takes_effect(
    key: str, before: str | None, after: str, told: tuple[str, str], effect: Literal["at once", "from now on"]
) -> None:
    def rule(value: str | None) -> str:
        fields = {"id": "a", "points": "5", "when": "{event: x}"} | ({} if value is None else {key: value})
        return rules("{" + ", ".join(f"{name}: {text}" for name, text in fields.items()) + "}")

    found = changes(rule(before), rule(after))
    name = "half_life" if key == "keep" else key
    assert found.keys == (KeyChange("a", name, *told, effect),)
    assert (found.added, found.removed, found.renamed, found.parts) == ((), (), (), ())


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
    ("before", "after", "told", "effect"),
    [
        ("", "score: {cap: 100}", "score.cap none -> 100", "at once"),
        ("", "mql: {enter: 70}", "stages.mql.enter.score at least 60 -> at least 70", "at once"),
        ("", "mql: {exit: 30}", "stages.mql.exit score: below 40 -> score: below 30", "at once"),
        ("", "alerts: {quiet_period: 1h}", "alerts.quiet_period 1d -> 1h", "at once"),
        ("", "alerts: {budget: 5 per hour}", "alerts.budget 50 per day -> 5 per hour", "at once"),
        (
            "",
            "inactivity: [{after: 30d, points: -5}]",
            "inactivity none -> {after: 30d, points: -5, repeat: false}",
            "at once",
        ),
        (
            "",
            "fit: [{id: x, trait: t, cases: [{is: y, points: 1}]}]",
            "fit.x none -> trait: t, cases: {is: y, points: 1}",
            "at once",
        ),
        ("", "rfm: {recency: {4: 2d}}", "rfm.recency.4 3d -> 2d", "at once"),
        ("", "timezone: Asia/Shanghai", "timezone UTC -> Asia/Shanghai", "from now on"),
        ("", "site: {hosts: a.example}", "site.hosts none -> a.example", "from now on"),
        (
            "",
            "touchpoints: [{url: '/x', weight: 2}]",
            "touchpoints none -> {weight: 2, when: {url: /x}}",
            "from now on",
        ),
        (
            "touchpoints: [{url: '/x', weight: 2}]",
            "touchpoints: [{url: '/x', weight: 3}]",
            "touchpoints.weight 2 -> 3",
            "from now on",
        ),
        ("", "tags: [{id: t, match: {event: x}}]", "tags.t none -> match: {event: x}", "from now on"),
        ("groups: {g: {cap: 4}}", "groups: {g: {cap: 5}}", "groups.g.cap 4 -> 5", "at once"),
        ("groups: {g: {cap: 4}}", "groups: {g: {cap: 4, pick: first}}", "groups.g.pick all -> first", "from now on"),
        (
            "dimensions: {engagement: {cap: 4}}",
            "dimensions: {engagement: {cap: 5}}",
            "dimensions.engagement.cap 4 -> 5",
            "at once",
        ),
    ],
)
def test_another_part_is_told_as_the_file_says_it_and_when_it_takes_effect(
    before: str, after: str, told: str, effect: Literal["at once", "from now on"]
) -> None:
    found = changes(rules(A) + before, rules(A) + after)
    assert [f"{each.part} {each.before} -> {each.after}" for each in found.parts] == [told]
    assert found.parts[0].effect == effect
    assert found.keys == ()


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("{event: page_view, url: '*/x'}", "{event: pageview, url: '*/x'}", ["when.event page_view -> pageview"]),
        ("{event: a}", "{event: [a, b], url: /x}", ["when.event a -> a, b", "when.url none -> /x"]),
        ("{any: [{event: a}, {url: /x}]}", "{any: [{event: a}, {url: /y}]}", ["when.any[1].url /x -> /y"]),
        ("{any: [{event: a}]}", "{any: [{event: a}, {url: [/x, /y]}]}", ["when.any {event: a} -> {event: a}, {url: [/x, /y]}"]),
        ("{event: a}", "{event: a, not: {url: /x}}", ["when.not none -> url: /x"]),
    ],
)  # fmt: skip
def test_of_a_condition_what_differs_is_told(before: str, after: str, told: list[str]) -> None:
    old, new = (rules(f"{{id: a, points: 5, when: {when}}}") for when in (before, after))
    found = changes(old, new).keys
    assert [f"{each.key} {each.before} -> {each.after}" for each in found] == told
    assert {each.effect for each in found} == {"from now on"}


def test_a_long_value_is_shortened_to_where_it_differs() -> None:
    urls = [f"/page-{number}" for number in range(100)]
    old, new = (
        rules(f"{{id: a, points: 5, when: {{url: [{', '.join(each)}]}}}}")
        for each in (urls, [*urls[:50], "/new", *urls[51:]])
    )
    [change] = changes(old, new).keys
    assert change.before.startswith("... /page-49, /page-50, ")
    assert change.after.startswith("... /page-49, /new, ")
    assert max(len(change.before), len(change.after)) <= 66


def test_the_half_life_of_a_dimension_is_told_by_its_rules() -> None:
    found = changes(rules(A), rules(A) + "dimensions: {engagement: {half_life: 14d}}")
    assert found.keys == (KeyChange("a", "half_life", "30d", "14d", "from now on"),)
    assert found.parts == ()


def test_the_order_of_rules_is_told() -> None:
    assert changes(rules(A, B), rules(B, A)).parts == (PartChange("order of rules", "a, b", "b, a", "from now on"),)
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
