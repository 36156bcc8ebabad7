"""The twelve worked examples of docs/scoring-model.md, folded by the real fold. Equal within 0.001."""

import re
from math import log2
from typing import Any

import pytest

from processors.models import load_shipped
from tests.processors.history import History

REFERENCE = load_shipped("reference")
PAGE = "https://www.acme.example"
BUYER = {"title": "CTO", "employees": "1200", "country": "CN", "industry": "finance"}


def without_inactivity(text: str) -> str:
    return re.sub(r"^inactivity:\n  - .*$", "", text, flags=re.MULTILINE)


def lead(model: str = REFERENCE, *, kind: str = "business", **traits: str) -> History:
    history = History(model)
    history.known(0, kind=kind, **traits)
    return history


def near(value: float) -> Any:
    return pytest.approx(value, abs=0.001)


def test_1_an_article_saved_a_week_ago() -> None:
    history = lead()
    history.act(
        0,
        event="content_saved",
        fields={"url": "https://mp.weixin.qq.com/s/x", "properties.topic": "content-marketing"},
    )
    assert history.price(0).tag("content-marketing") == near(0.64)
    assert history.price(7).tag("content-marketing") == near(0.448)
    assert history.price(7).score == near(1.12)


def test_2_a_download_halves_with_each_half_life() -> None:
    plain = lead(without_inactivity(REFERENCE))
    plain.act(0, event="download")
    assert [plain.price(day).score for day in (0, 30, 60)] == [near(10), near(5), near(2.5)]
    history = lead()
    history.act(0, event="download")
    assert history.price(30).raw == near(-25)
    assert history.price(30).score == 0


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_3_of_a_day_the_latest_view_pays_in_any_order(order: tuple[int, ...]) -> None:
    history = lead()
    acts = [(0, f"{PAGE}/pricing"), (0.04, f"{PAGE}/en/Pricing/?x=1"), (0.08, f"{PAGE}/pricing#a")]
    for index in order:
        history.act(acts[index][0], url=acts[index][1], logged=0.08)
    assert history.price(0.08).score == near(15)
    history.act(1, url=f"{PAGE}/pricing")
    assert history.price(1).score == near(29.685)


def test_4_caps_cut_what_is_left_and_do_not_decay() -> None:
    history = lead()
    for day in range(4):
        history.act(day, url=f"{PAGE}/pricing")
    now, later = history.price(3), history.price(13)
    assert (now.score, later.score) == (near(40), near(40))
    cuts = [[line.points for line in price.lines if line.kind == "group_cap"] for price in (now, later)]
    assert cuts == [[near(40 - 57.976)], [near(40 - 46.015)]]


@pytest.mark.parametrize(("minutes", "score"), [(4, 0), (20, 10), (75, 30)])
def test_5_minutes_in_a_webinar(minutes: int, score: float) -> None:
    history = lead()
    history.act(0, event="webinar_attended", fields={"webinar.attended_minutes": minutes})
    assert history.price(0).score == near(score)


def test_6_a_fading_penalty_lets_the_score_rise_but_promotes_nobody() -> None:
    history = lead()
    history.act(0, event="download")
    history.act(0, url=f"{PAGE}/careers/dev")
    assert history.price(0).score == near(0)
    assert history.price(14).score == near(2.236)
    alone = lead()
    alone.act(0, url=f"{PAGE}/careers")
    assert (alone.price(0).raw, alone.price(0).score) == (near(-10), 0)


@pytest.mark.parametrize(("kind", "fit", "grade"), [("free", 60, "A2"), ("disposable", 20, "C2")])
def test_7_fit_and_grade(kind: str, fit: float, grade: str) -> None:
    history = lead(kind=kind, **BUYER)
    history.act(0, event="event_attended")
    history.act(0, event="download")
    price = history.price(0)
    assert (price.fit, price.score, price.grade) == (near(fit), near(60), grade)


def test_8_cooling_down_and_the_cooldown_that_follows() -> None:
    history = lead(**BUYER)
    history.act(0, event="event_attended")
    history.act(0, event="download", asset="a")
    assert history.stage == "mql"
    history.tick(18)
    assert history.moves[-1] == ("mql", "recycled", "decay", near(30 * log2(60 / 40)))
    history.act(20, event="download", asset="b")
    assert (history.price(20).score, history.stage) == (near(47.798), "recycled")
    history.act(21, event="stream_watched")
    assert (history.price(21).score, history.stage) == (near(76.706), "recycled")
    history.act(25, event="email_clicked")
    assert (history.price(25).score, history.stage) == (near(72.935), "mql")


def test_9_inactivity_is_a_cause_and_the_next_act_lifts_it() -> None:
    history = lead(**BUYER)
    history.act(0, event="event_attended")
    history.act(0, event="stream_watched")
    assert history.stage == "mql"
    assert history.price(29.999).score == near(40.001)
    history.act(31, event="download", asset="c")
    assert history.moves[-1] == ("mql", "recycled", "inactivity", near(30))
    assert history.transitions[-1]["score"] == near(10)
    assert (history.price(31).score, history.stage) == (near(49.086), "recycled")


def test_10_who_asks_for_a_demo_need_not_collect_points() -> None:
    history = lead()
    history.act(0, event="form_submitted", asset="demo-emea")
    assert (history.price(0).fit, history.price(0).score, history.stage) == (0, near(50), "mql")
    history.tick(10)
    assert history.moves[-1] == ("mql", "recycled", "decay", near(9.658))


def test_11_touchpoints_weigh_points_and_tags() -> None:
    history = lead()
    history.act(0, url=f"{PAGE}/product/tour")
    history.act(0, url="https://docs.acme.example/data-platform")
    price = history.price(0)
    assert price.dimension("platform") == near(8)
    assert (price.tag("customer-acquisition"), price.tag("data-platform")) == (near(1.5), near(0.5))


def test_12_pick_first_pays_one_rule_of_the_group() -> None:
    fields = {"utm.campaign": "2026-spring-cn", "utm.medium": "cpc", "click_id": "gclid"}
    history = lead()
    history.act(0, fields=fields)
    assert [(line.id, line.points) for line in history.price(0).lines if line.kind == "rule"] == [
        ("spring-campaign", near(8))
    ]
    summer = lead()
    summer.act(91, fields=fields)  # 1 June
    assert [line.id for line in summer.price(91).lines if line.kind == "rule"] == ["paid-search"]
