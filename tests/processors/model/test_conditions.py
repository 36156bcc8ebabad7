from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.model import event_from_fields, read_model
from processors.model.conditions import act_condition, expectations, lead_condition
from processors.model.model import ActTest, LeadTest
from processors.model.views import Act, LeadView
from schemas.records import Text, Touch

HEAD = "leadstream: 1\nname: m\n"
DAY = 86_400_000


def act_test(condition: str) -> ActTest:
    model = read_model(f"{HEAD}rules: [{{id: a, points: 1, when: {condition}}}]")
    return model.rules[0].test


def holds(condition: str, **fields: Any) -> bool:
    event = event_from_fields({name.replace("__", "."): value for name, value in fields.items()}, 0)
    return act_test(condition)(Act(event, 0))


ACTS: list[tuple[str, dict[str, Any], bool]] = [
    ("{event: page_view}", {"event": "page_view"}, True),
    ("{event: page}", {"event": "page_view"}, True),
    ("{event: Form Submitted}", {"event": "form_submitted"}, True),
    ("{event: [download, 'form_*']}", {"event": "form_submitted"}, True),
    ("{event: download}", {"event": "page_view"}, False),
    ("{event: form_submitted}", {"event": "Form Submitted"}, True),  # a producer of JSON may not have normalised it
    ("{url: '*/pricing*'}", {"url": "https://acme.example/en/Pricing?x"}, True),
    ("{url: '*/pricing*'}", {}, False),
    ("{host: acme.example}", {"url": "https://ACME.example:443/x"}, True),
    ("{host: acme.example}", {"url": "/x"}, False),
    ("{referrer: 'www.google.*'}", {"referrer": "https://www.google.com/"}, True),
    ("{title: '*Data*'}", {"title": "big data"}, True),
    ("{asset: [a, 'demo*']}", {"asset": "Demo-EMEA"}, True),
    ("{seconds: at least 60}", {"seconds": 60.0}, True),
    ("{seconds: above 60}", {"seconds": 60.0}, False),
    ("{seconds: 60}", {"seconds": 60.0}, True),
    ("{seconds: at least 60}", {}, False),
    ("{seconds: [below 5, at least 60]}", {"seconds": 3.0}, True),
    ("{source: website}", {"source": "website"}, True),
    ("{click_id: [gclid, msclkid]}", {"click_id": "gclid"}, True),
    ("{utm.campaign: 'spring*'}", {"utm__campaign": " SPRING-26 "}, True),
    ("{utm.medium: cpc}", {"utm__campaign": "x"}, False),
    ("{webinar.attended_minutes: at least 10}", {"webinar__attended_minutes": 10.0}, True),
    ("{webinar.attended_share: above 0.5}", {"webinar__attended_share": 0.75}, True),
    ("{webinar.title: '*data*'}", {"webinar__title": "Data Summit"}, True),
    ("{properties.topic: [a, b]}", {"properties__topic": "B"}, True),
    ("{properties.topic: b}", {"properties__topic": ["a", "b"]}, True),
    ("{properties.n: at least 5}", {"properties__n": "7"}, True),
    ("{properties.n: at least 5}", {"properties__n": "seven"}, False),
    ("{properties.n: 0.5}", {"properties__n": 0.5}, True),
    ("{properties.n: 60}", {"properties__n": 60.0}, True),
    ("{properties.ok: true}", {"properties__ok": True}, True),
    ("{properties.n: at least 1}", {"properties__n": True}, False),
    ("{properties.x: '*'}", {"properties__x": "  "}, False),
    ("{properties.x: '*'}", {"properties__y": "1"}, False),
    ("{traits.country: [NO, SE]}", {"traits__country": "no"}, True),
    ("{traits.email_kind: business}", {"traits__email_kind": "business"}, True),
    ("{event: a, title: b}", {"event": "a", "title": "c"}, False),
    ("{any: [{title: a}, {title: b}]}", {"title": "b"}, True),
    ("{any: [{title: a}, {title: b}]}", {"title": "c"}, False),
    ("{all: [{title: 'a*'}, {title: '*b'}]}", {"title": "a-b"}, True),
    ("{all: [{title: 'a*'}, {title: '*b'}]}", {"title": "a-c"}, False),
    ("{not: {title: a}}", {"title": "b"}, True),
    ("{not: {title: a}}", {}, True),
    ("{not: {title: a, asset: b}}", {"title": "a"}, True),
    ("{not: {any: [{url: '*/a'}, {title: b}]}}", {"url": "/a"}, False),
    ("{any: [{url: '*/a'}, {title: b}], event: x}", {"event": "x", "url": "/a"}, True),
]


@pytest.mark.parametrize(("condition", "fields", "expected"), ACTS)
def test_conditions_on_an_act_hold_as_the_table_says(condition: str, fields: dict[str, Any], expected: bool) -> None:
    assert holds(condition, **{"event": "any_event", **fields}) is expected


EVENT_TYPES = [
    ("{event: [page, download]}", {"page_view", "download"}),
    ("{title: a}", None),
    ("{event: 'form_*'}", None),
    ("{any: [{event: a}, {event: b, title: x}]}", {"a", "b"}),
    ("{any: [{event: a}, {title: x}]}", None),
    ("{all: [{event: [a, b]}, {event: [b, c]}]}", {"b"}),
    ("{not: {event: a}}", None),
]


@pytest.mark.parametrize(("condition", "types"), EVENT_TYPES)
def test_a_rule_knows_the_only_types_it_can_fit(condition: str, types: set[str] | None) -> None:
    assert read_model(f"{HEAD}rules: [{{id: a, points: 1, when: {condition}}}]").rules[0].event_types == types


leaves = st.sampled_from(
    [
        {"event": ["a"]},
        {"event": ["b*"]},
        {"url": ["/x*"]},
        {"host": ["h"]},
        {"title": ["t"]},
        {"seconds": ["at least 5"]},
    ]
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"not": inner}),
        st.fixed_dictionaries({"any": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"all": st.lists(inner, min_size=1, max_size=3)}),
        st.tuples(leaves, st.fixed_dictionaries({"not": inner})).map(lambda pair: pair[0] | pair[1]),
    ),
    max_leaves=8,
)
events = st.builds(
    lambda kind, url, title, seconds: event_from_fields(
        {"event": kind, "url": url, "title": title, "seconds": seconds}, 0
    ),
    st.sampled_from(["a", "b", "bc"]),
    st.sampled_from([None, "/x", "http://h/x1", "http://h/y"]),
    st.sampled_from([None, "t", "u"]),
    st.sampled_from([None, 4.0, 5.0]),
)


def plainly(tree: dict[str, Any], act: Act) -> bool:
    """The meaning of a condition, as the document says it."""
    joiners: dict[str, Callable[[Any], bool]] = {
        "not": lambda inner: not plainly(inner, act),
        "any": lambda inner: any(plainly(each, act) for each in inner),
        "all": lambda inner: all(plainly(each, act) for each in inner),
    }
    return all(
        joiners[name](value) if name in joiners else act_condition({name: value})(act) for name, value in tree.items()
    )


@given(trees, events)
def test_a_condition_decided_in_two_steps_means_the_same(tree: dict[str, Any], event: Any) -> None:
    act = Act(event, 0)
    assert act_condition(tree)(act) is plainly(tree, act)


@dataclass
class FakeLead:
    known: bool = True
    score: float = 60.0
    fit: float = 0.0
    grade: str = "B2"
    stage: str = "mql"
    idle_ms: float | None = 3.0 * DAY
    in_stage_ms: float = 5.0 * DAY
    first_touch: Touch | None = None
    last_touch: Touch | None = None
    traits: dict[str, Text] = field(default_factory=dict)

    def dimension(self, name: str) -> float:
        return {"platform": 7.0}[name]

    def tag(self, name: str) -> float:
        return {"data": 0.4484}[name]

    def rfm(self, name: str) -> int:
        return {"recency": 4, "frequency": 2, "depth": 1}[name]

    def trait(self, name: str) -> Text | None:
        return self.traits.get(name)

    def did(self, rule: str, within_ms: float) -> bool:
        return rule == "demo" and within_ms >= 2 * DAY


LEAD_MODEL = """
dimensions: {platform: {}, engagement: {}}
tags: [{id: data, match: {title: x}}]
rules: [{id: demo, points: 1, when: {event: x}}, {id: other, points: 1, when: {event: x}}]
"""


def lead_test(condition: str) -> LeadTest:
    test = read_model(f"{HEAD}{LEAD_MODEL}alerts: {{routes: [{{enters: mql, send_to: s, when: {condition}}}]}}")
    when = test.alerts.routes[0].when
    assert when is not None
    return when


TOUCH = Touch(
    at=0,
    url="https://acme.example/land",
    referrer="https://www.baidu.com/s",
    source="web",
    click_id={"kind": "bd_vid", "value": "X"},
    campaign={"source": "baidu", "medium": "cpc", "name": "Spring", "term": None, "content": None, "id": None},
)
LEADS = [
    ("{known: true}", FakeLead(), True),
    ("{known: false}", FakeLead(), False),
    ("{score: at least 60}", FakeLead(), True),
    ("{score: 60}", FakeLead(), True),
    ("{score: above 60}", FakeLead(), False),
    ("{fit: below 1}", FakeLead(), True),
    ("{grade: [A1, b2]}", FakeLead(), True),
    ("{dimensions.platform: at least 7}", FakeLead(), True),
    ("{tags.data: above 0.4}", FakeLead(), True),
    ("{rfm.recency: 4, rfm.depth: [1, 2]}", FakeLead(), True),
    ("{rfm.frequency: at least 3}", FakeLead(), False),
    ("{idle: at least 3d}", FakeLead(), True),
    ("{idle: at most 71h}", FakeLead(), False),
    ("{idle: at least 0s}", FakeLead(idle_ms=None), False),
    ("{in_stage: below 1w}", FakeLead(), True),
    ("{stage: [mql, sal]}", FakeLead(), True),
    ("{traits.title: '*director*'}", FakeLead(traits={"title": "Sales Director"}), True),
    ("{traits.langs: fr}", FakeLead(traits={"langs": ["de", "FR"]}), True),
    ("{traits.staff: at least 50}", FakeLead(traits={"staff": "120"}), True),
    ("{traits.title: '*'}", FakeLead(), False),
    ("{first_touch.utm.campaign: spring}", FakeLead(first_touch=TOUCH), True),
    ("{first_touch.url: /land}", FakeLead(first_touch=TOUCH), True),
    ("{last_touch.referrer: '*baidu.com/*'}", FakeLead(last_touch=TOUCH), True),
    ("{last_touch.click_id: bd_vid, last_touch.source: web}", FakeLead(last_touch=TOUCH), True),
    ("{last_touch.click_id: bd_vid}", FakeLead(first_touch=TOUCH), False),
    ("{did: demo}", FakeLead(), True),
    ("{did: [other, demo], within: 2d}", FakeLead(), True),
    ("{did: demo, within: 1d}", FakeLead(), False),
    ("{any: [{score: below 3}, {known: true}], not: {stage: sal}}", FakeLead(), True),
    ("{all: [{score: below 3}, {known: true}]}", FakeLead(), False),
]


@pytest.mark.parametrize(("condition", "lead", "expected"), LEADS)
def test_conditions_on_a_lead_hold_as_the_table_says(condition: str, lead: LeadView, expected: bool) -> None:
    assert lead_test(condition)(lead) is expected


def test_an_expected_bare_number_is_met_within_a_thousandth() -> None:
    near = expectations({"tags.data": ["0.448"], "score": ["60.0011"], "rfm.depth": ["at least 1"]})
    assert {text: test(FakeLead()) for text, test in near.items()} == {
        "tags.data: 0.448": True,
        "score: 60.0011": False,
        "rfm.depth: at least 1": True,
    }
    assert lead_condition({"tags.data": ["0.448"]})(FakeLead()) is False
