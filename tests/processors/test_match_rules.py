from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.match_rules import Match, Matcher
from processors.model import event_from_fields, read_model
from processors.models import load_shipped
from schemas.records import TrackedEvent

HEAD = "leadstream: 1\nname: m\n"
NOON = 1_772_452_800_000  # 2026-03-02 12:00 UTC
REFERENCE_MODEL = read_model(load_shipped("reference"))
REFERENCE = Matcher(REFERENCE_MODEL)


def event(**fields: Any) -> TrackedEvent:
    return event_from_fields({name.replace("__", "."): value for name, value in fields.items()}, NOON)


def ids(match: Match) -> list[str]:
    return [hit.rule.id for hit in match.hits]


def matcher(text: str) -> Matcher:
    return Matcher(read_model(HEAD + text))


SITE = "https://www.acme.example"
EXAMPLES: list[tuple[dict[str, Any], list[tuple[str, float, float, tuple[str, ...], str]]]] = [
    ({"event": "page_view", "url": f"{SITE}/en/Pricing/?x=1"}, [("pricing-page", 1, 1, (), "")]),
    ({"event": "page_view", "url": "/pricing"}, [("pricing-page", 1, 1, (), "")]),
    ({"event": "page_view", "url": f"{SITE}/about"}, []),
    ({"event": "page_view", "url": f"{SITE}/blog/x", "seconds": 59.0}, []),
    ({"event": "page_view", "url": f"{SITE}/blog/x", "seconds": 60.0}, [("long-read", 1, 1, (), "")]),
    ({"event": "page_view", "url": f"{SITE}/product/tour"}, [("product-page", 1, 1.5, ("customer-acquisition",), "")]),
    (
        {"event": "page_view", "url": "docs.acme.example/data-platform"},
        [("product-page", 1, 0.5, ("data-platform",), "")],
    ),
    (
        {"event": "content_saved", "url": "https://mp.weixin.qq.com/s/x", "properties__topic": "Content-Marketing"},
        [("saved-article", 1, 0.8, ("content-marketing",), "")],
    ),
    (
        {"event": "download", "asset": " White Paper on data-platform "},
        [("download", 1, 1, ("data-platform",), "white paper on data-platform")],
    ),
    ({"event": "download"}, [("download", 1, 1, (), "")]),
    ({"event": "webinar_attended", "webinar__attended_minutes": 4.0}, []),
    ({"event": "webinar_attended", "webinar__attended_minutes": 20.0}, [("webinar-minutes", 20, 1, (), "")]),
    ({"event": "webinar_attended", "webinar__attended_minutes": 75.0}, [("webinar-minutes", 60, 1, (), "")]),
    (
        {"event": "page_view", "utm__campaign": "2026-spring-cn", "utm__medium": "cpc", "click_id": "gclid"},
        [("spring-campaign", 1, 1, (), "")],
    ),
    ({"event": "page_view", "utm__medium": "cpc", "utm__term": "data jobs"}, []),
    ({"event": "form_submitted", "asset": "demo-emea"}, [("demo-request", 1, 1, (), "")]),
]


@pytest.mark.parametrize(("fields", "expected"), EXAMPLES)
def test_the_reference_model_matches_as_the_table_says(
    fields: dict[str, Any], expected: list[tuple[str, float, float, tuple[str, ...], str]]
) -> None:
    match = REFERENCE.match(event(**fields), NOON)
    assert [(hit.rule.id, hit.units, hit.weight, hit.tags, hit.by) for hit in match.hits] == expected
    assert all(hit.tag_keys == tuple(f"{hit.rule.id}#{tag}" for tag in hit.tags) for hit in match.hits)
    assert match.foreign is False


def test_after_the_campaign_the_next_rule_of_the_group_fits() -> None:
    act = event(event="page_view", utm__campaign="2026-spring-cn", utm__medium="cpc")
    first_of_june = 1_780_243_200_000  # in Shanghai
    assert ids(REFERENCE.match(act, first_of_june - 1)) == ["spring-campaign"]
    assert ids(REFERENCE.match(act, first_of_june)) == ["paid-search"]


def test_an_act_on_another_host_is_foreign_and_fits_nothing() -> None:
    act = event(event="page_view", url="https://evil.example/pricing")
    assert REFERENCE.match(act, NOON) == Match((), foreign=True)


def test_without_hosts_no_act_is_foreign() -> None:
    act = event(event="page_view", url="https://anywhere.example/pricing")
    assert ids(matcher("rules: [{id: a, points: 1, when: {url: /pricing}}]").match(act, NOON)) == ["a"]


def test_of_several_touchpoints_the_first_that_fits_gives_the_weight() -> None:
    text = """
touchpoints:
  - {title: special, weight: 3}
  - {url: "*/blog/*", weight: 2}
  - {url: "*", weight: 0.5}
rules: [{id: a, points: 1, when: {event: page_view}}]
"""
    one = matcher(text)
    acts = [
        event(event="page_view", url="/blog/x", title="special"),
        event(event="page_view", url="/blog/x"),
        event(event="page_view", url="/x"),
        event(event="page_view"),
    ]
    assert [one.match(act, NOON).hits[0].weight for act in acts] == [3, 2, 0.5, 1]


def test_tags_are_those_matched_and_those_of_the_rule_sorted() -> None:
    text = """
tags: [{id: z, match: {event: x}}, {id: a, match: {title: t}}, {id: m, match: {event: never}}]
rules: [{id: one, points: 1, when: {event: x}, tags: [m, z]}, {id: two, points: 1, when: {event: x}}]
"""
    hits = matcher(text).match(event(event="x", title="t"), NOON).hits
    assert [hit.tags for hit in hits] == [("a", "m", "z"), ("a", "z")]


def test_units_that_are_no_number_are_none_and_the_act_fits_all_the_same() -> None:
    one = matcher("rules: [{id: a, points: 1, when: {event: x}, per: properties.n, per_max: 9}]")
    values = [5, "7.5", 50, -3, "many", None, True, float("nan"), float("inf"), ["1"]]
    assert [one.match(event(event="x", properties__n=value), NOON).hits[0].units for value in values] == [
        *(5, 7.5, 9, 0, 0, 0, 0, 0, 9, 0),
    ]
    assert one.match(event(event="x"), NOON).hits[0].units == 0


def test_units_without_a_bound_stay_finite() -> None:
    one = matcher("rules: [{id: a, points: 1, when: {event: x}, per: properties.n}]")
    assert one.match(event(event="x", properties__n=1e308), NOON).hits[0].units == 1e6


BY = [
    ("url", {"url": "https://Acme.example/A/?x=1"}, "acme.example/a"),
    ("event", {}, "x"),
    ("asset", {"asset": " Guide "}, "guide"),
    ("properties.n", {"properties__n": 60.0}, "60"),
    ("utm.campaign", {}, ""),
]


@pytest.mark.parametrize(("field", "fields", "text"), BY)
def test_the_by_field_of_a_limit_is_text_as_a_pattern_sees_it(field: str, fields: dict[str, Any], text: str) -> None:
    one = matcher(f"rules: [{{id: a, points: 1, when: {{event: x}}, limit: {{per: day, by: {field}}}}}]")
    assert one.match(event(event="x", **fields), NOON).hits[0].by == text


def test_a_query_pattern_tells_two_pages_of_one_path_apart() -> None:
    one = matcher('rules: [{id: a, points: 1, when: {url: "/x?tab=a"}}]')
    found = [ids(one.match(event(event="page_view", url=f"/x?tab={tab}"), NOON)) for tab in "aba"]
    assert found == [["a"], [], ["a"]]


def test_the_decoder_is_told_which_fields_the_model_reads() -> None:
    assert REFERENCE.event_fields == {
        *("type", "url", "asset", "campaign", "click_id", "duration_seconds", "properties", "webinar"),
    }
    assert matcher("rules: [{id: a, points: 1, when: {traits.email_kind: x, traits.y: z}}]").event_fields == {
        *("type", "traits", "email_kind"),
    }


fields = st.fixed_dictionaries({
    "event": st.sampled_from(["page_view", "download", "form_submitted", "webinar_attended", "x"]),
    "url": st.none() | st.sampled_from([f"{SITE}/pricing", f"{SITE}/blog/a?q=1", "https://docs.acme.example/product", "/x"]),
    "asset": st.none() | st.text(max_size=5),
    "utm.campaign": st.none() | st.sampled_from(["2026-spring-a", "other"]),
    "utm.medium": st.none() | st.sampled_from(["cpc", "email"]),
    "webinar.attended_minutes": st.none() | st.floats(0, 100),
})  # fmt: skip


@given(st.lists(fields, max_size=8))
def test_the_answer_does_not_depend_on_what_was_asked_before(many: list[dict[str, Any]]) -> None:
    for each in many:
        act = event_from_fields(each, NOON)
        fresh = Matcher(REFERENCE_MODEL).match(act, NOON)
        assert [hit[1:] for hit in REFERENCE.match(act, NOON).hits] == [hit[1:] for hit in fresh.hits]
        assert ids(REFERENCE.match(act, NOON)) == ids(fresh)


@given(fields)
def test_only_the_declared_fields_are_read(each: dict[str, Any]) -> None:
    whole = event_from_fields(each, NOON)
    projected: Any = {name: value for name, value in whole.items() if name in REFERENCE.event_fields}
    assert REFERENCE.match(projected, NOON) == REFERENCE.match(whole, NOON)


@given(st.text(), st.text(), st.text())
def test_any_text_is_matched_without_an_error(url: str, kind: str, asset: str) -> None:
    act = event(event="page_view", url=url, asset=asset)
    act["type"] = kind
    assert REFERENCE.match(act, NOON).foreign in (True, False)


def test_what_is_kept_is_bounded() -> None:
    one = matcher("rules: [{id: a, points: 1, when: {url: '/x*', asset: '*', title: '*', referrer: '*'}}]")
    sizes = []
    for number in range(3000):
        for fields in ({}, {"asset": "a"}, {"title": "t"}, {"asset": "a", "referrer": "r"}):
            one.match(event(event="page_view", url=f"/x{number}", **fields), NOON)
        sizes.append(sum(len(page.plans) for page in one._pages.values()))
    assert 8000 < max(sizes) <= 8192
    one.match(event(event="page_view", url="/x" + "y" * 600), NOON)
    assert max(len(url or "") for _, url in one._pages) < 600


@given(st.lists(st.sampled_from(["asset", "title", "utm__medium", "click_id", "properties__topic"]), unique=True))
def test_what_was_kept_of_another_act_of_the_page_changes_nothing(names: list[str]) -> None:
    values = {"click_id": "gclid", "utm__medium": "cpc", "properties__topic": "content-marketing"}
    act = event(event="page_view", url="https://www.acme.example/pricing", **{n: values.get(n, "x") for n in names})
    fresh = Matcher(REFERENCE_MODEL)
    assert REFERENCE.match(act, NOON) == fresh.match(act, NOON)
