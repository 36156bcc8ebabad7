"""What a lead is worth: receipts, cuts, fit, grades, marks, tags; in the fold and from a snapshot alike."""

from typing import Any

import pytest

from processors.price import price
from processors.snapshots import snapshot_of
from schemas.codec import decode
from tests.processors.history import LEAD, History
from tests.processors.small_models import HEAD

CUT = (
    HEAD
    + """
score: {floor: 0, cap: 100}
dimensions: {engagement: {half_life: never}, docs: {half_life: never, cap: 30}}
groups: {web: {cap: 40}, bad: {floor: -15}}
tags:
  - {id: lake, match: {title: "*lake*"}}
  - {id: cloud, match: {title: "*cloud*"}}
touchpoints: [{url: "docs.acme.example/*", weight: 0.5}]
rules:
  - {id: view, points: 25, group: web, when: {event: page_view}, cap: 45, tag_weight: 2}
  - {id: guide, points: 20, dimension: docs, when: {event: guide}, tags: [lake], tag_weight: 0.5}
  - {id: minutes, points: 1, per: seconds, per_max: 50, when: {event: video}}
  - {id: rude, points: -10, group: bad, when: {event: rude}, cap: 12}
  - {id: rant, points: -10, group: bad, when: {event: rant}}
fit:
  - {id: title, trait: title, cases: [{is: cto, points: 25}, {is: "c*", points: 5}]}
  - {id: size, trait: size, cases: [{is: at least 100, points: 20}]}
grade: {fit: {A: 40, B: 20, C: 10}, score: {1: 80, 2: 50, 3: 20}}
rfm:
  recency: {4: 1d, 3: 7d, 2: 30d}
  frequency: {4: 4, 3: 3, 2: 2}
  depth: {4: 100, 3: 50, 2: 20}
stages: [{id: visitor}, {id: warm, enter: {score: at least 1}}]
"""
)


def told(*acts: str, **fields: Any) -> History:
    history = History(CUT)
    for event in acts:
        history.act(0, event=event, fields=fields)
    return history


def lines(history: History) -> dict[str, float]:
    return {f"{line.kind} {line.id}": line.points for line in history.price(0).lines}


@pytest.mark.parametrize(
    ("acts", "expected"),
    [
        (["page_view"], {"rule view": 25}),
        (["page_view"] * 2, {"rule view": 50, "rule_cap view": -5, "group_cap web": -5}),
        (["guide"] * 2, {"rule guide": 40, "dimension_cap docs": -10}),
        (["rude"], {"rule rude": -10, "floor score": 10}),
        (["rude"] * 2, {"rule rude": -20, "rule_cap rude": 8, "floor score": 12}),
        (["rude", "rant"], {"rule rude": -10, "rule rant": -10, "group_floor bad": 5, "floor score": 15}),
        (["page_view"] * 2 + ["guide"] * 2 + ["video"],
         {"rule view": 50, "rule guide": 40, "rule minutes": 50, "rule_cap view": -5, "group_cap web": -5,
          "dimension_cap docs": -10, "cap score": -20}),
    ],
)  # fmt: skip
def test_every_cut_has_its_line_and_all_lines_add_up_to_the_score(acts: list[str], expected: dict[str, float]) -> None:
    history = told(*acts, seconds=70)
    assert lines(history) == expected
    assert history.price(0).score == sum(expected.values())
    of_total = {"cap score", "floor score"}
    assert history.price(0).raw == sum([points for name, points in expected.items() if name not in of_total])


def test_the_receipt_of_a_transition_adds_up_to_its_score() -> None:
    history = told("page_view")
    receipt = history.transitions[0]["receipt"]
    assert sum(part["points"] for part in receipt) == history.transitions[0]["score"] == 25
    part = receipt[0]
    assert (part["units"], part["per_unit"], part["count"], part["last_event_id"]) == (1, 25, 1, "e0")


def test_units_of_an_odd_field_are_zero_and_the_act_still_fits() -> None:
    history = told("video", seconds=-5)
    assert (history.price(0).score, history.price(0).did("minutes", 1)) == (0, True)


def test_a_group_and_a_dimension_can_be_read_alone() -> None:
    found = told("page_view", "page_view", "guide").price(0)
    assert (found.group("web"), found.dimension("engagement"), found.dimension("docs")) == (40, 40, 20)


@pytest.mark.parametrize(
    ("traits", "fit", "grade"),
    [({}, 0, "D4"), ({"title": "CTO"}, 25, "B4"), ({"title": "ceo"}, 5, "D4"), ({"title": "CTO", "size": "100"}, 45, "A4"),
     ({"size": ""}, 0, "D4"), ({"size": "99"}, 0, "D4")],
)  # fmt: skip
def test_of_each_block_the_first_case_pays(traits: dict[str, str], fit: float, grade: str) -> None:
    history = told("nothing", **{f"traits.{name}": value for name, value in traits.items()})
    found = history.price(0)
    assert (found.fit, found.grade) == (fit, grade)
    assert sum(part["points"] for part in found.fit_receipt()) == fit


@pytest.mark.parametrize(("views", "digit"), [(0, "4"), (1, "3"), (2, "3")])
def test_the_digit_of_a_grade_is_the_lowest_bound_reached(views: int, digit: str) -> None:
    assert told("nothing", *["page_view"] * views).price(0).grade[1] == digit


@pytest.mark.parametrize(("day", "marks"), [(3, (4, 4, 4)), (4.1, (3, 3, 4)), (11, (2, 3, 4)), (40, (1, 1, 4))])
def test_recency_frequency_and_depth(day: float, marks: tuple[int, int, int]) -> None:
    history = History(CUT)
    for number in range(4):  # four active days; two acts on each count once
        for _ in range(2):
            history.act(number)
    history.act(3.1, event="nothing")  # no rule: no act
    found = history.price(day)
    assert (found.rfm("recency"), found.rfm("depth")) == (marks[0], marks[2])
    worth = sum(2 ** (-(day - number) / 30) for number in range(4))
    assert found.rfm("frequency") == next((mark for mark in (4, 3, 2) if worth >= mark), 1)


def test_without_an_act_every_mark_is_one() -> None:
    history = told("nothing")
    assert [history.price(0).rfm(name) for name in ("recency", "frequency", "depth")] == [1, 1, 1]


def test_tags_weigh_place_and_deed_but_not_units() -> None:
    history = told("page_view", "guide", title="Data lake in the cloud", url="https://docs.acme.example/x")
    found = history.price(0)
    assert (found.tag("lake"), found.tag("cloud")) == (2 * 0.5 + 0.5 * 0.5, 2 * 0.5 + 0.5 * 0.5)
    assert found.score == 0.5 * 25 + 0.5 * 20


def test_known_is_who_can_be_written_to_or_called() -> None:
    for traits, known in (
        ({}, False), ({"crm_id": "7"}, True), ({"email_kind": "free"}, True),
        ({"phone_kind": "invalid"}, False), ({"phone_kind": "valid"}, True),
    ):  # fmt: skip
        assert told("nothing", **{f"traits.{k}": v for k, v in traits.items()}).price(0).known is known


def test_a_snapshot_is_priced_as_the_row_is() -> None:
    history = told("page_view", "guide", "rude", "video", seconds=7, title="lake")
    history.act(2, fields={"traits.title": "CTO", "utm.source": "x"})
    opened, active = history.fold.rows.read(LEAD), history.fold.models.newest
    assert opened is not None
    assert active is not None
    snapshot = snapshot_of(LEAD, opened.row, opened.version, active)
    sent = history.fold.take_snapshots()
    assert decode(sent[0].value or b"")[1] == snapshot
    for day in (2, 5, 50):
        read, row = price(snapshot, active, history.at(day)), history.price(day)
        assert [line[:4] for line in read.lines] == [line[:4] for line in row.lines]
        assert [line.points for line in read.lines] == pytest.approx([line.points for line in row.lines])
        for name in ("score", "raw", "fit", "grade", "stage", "known", "idle_ms", "in_stage_ms", "last_touch"):
            assert getattr(read, name) == getattr(row, name), name
        assert [read.rfm(n) for n in ("recency", "frequency", "depth")] == [
            row.rfm(n) for n in ("recency", "frequency", "depth")
        ]
        assert read.tag("lake") == row.tag("lake")
