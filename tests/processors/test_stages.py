"""Stages: hysteresis, dwell, cooldown, inactivity, idle exits, and who is told."""

from math import log2
from typing import Any

import pytest

from processors.fold_partition import PartitionFold
from tests.processors.history import LEAD, History
from tests.processors.small_models import HEAD, STAGED, changed

SECOND = 1 / 86_400


def near(day: float) -> Any:
    return pytest.approx(day, abs=SECOND)


def test_in_at_the_high_number_out_at_the_low_one() -> None:
    history = History(STAGED)
    history.act(0, event="webinar")
    history.act(0, event="webinar")
    assert history.stage == "hot"
    history.act(9, event="page_view")  # between 50 and 100
    assert history.stage == "hot"
    history.tick(60)
    assert [move[:3] for move in history.moves] == [
        ("visitor", "warm", "act"), ("warm", "hot", "act"), ("hot", "warm", "decay"), ("warm", "visitor", "decay"),
    ]  # fmt: skip


def test_stages_in_between_are_skipped_without_a_transition() -> None:
    history = History(STAGED)
    history.act(0, event="demo")
    assert [move[:2] for move in history.moves] == [("visitor", "hot")]


def test_a_lead_stays_at_least_its_dwell() -> None:
    history = History(STAGED)
    history.act(0, event="demo")
    history.act(0.5, event="complaint")
    assert history.stage == "hot"
    history.tick(3)
    assert history.moves[-1] == ("hot", "warm", "decay", 2)


def test_an_act_that_brings_the_exit_moves_at_once_when_the_dwell_is_over() -> None:
    history = History(STAGED)
    history.act(0, event="demo")
    history.act(3, event="complaint")
    assert history.moves[-1] == ("hot", "visitor", "act", 3)
    assert history.transitions[-1]["cause_event_id"] == "e1"


def test_after_a_fall_no_rise_until_the_cooldown_is_over() -> None:
    history = History(STAGED)
    history.act(0, event="demo")
    history.act(10.5)
    assert history.moves[-1][:2] == ("hot", "warm")
    fell = history.moves[-1][3]
    history.act(fell + 4.9, event="demo")
    assert history.stage == "warm"
    history.act(fell + 5.1)
    assert history.stage == "hot"


def test_a_fall_past_two_stages_cools_for_the_longer_of_both() -> None:
    history = History(STAGED)
    history.act(0, event="demo")
    history.act(3, event="complaint")
    history.act(3, event="complaint")
    opened = history.fold.rows.read(LEAD)
    assert opened is not None
    assert (history.stage, opened.row.cool_until) == ("visitor", history.at(8))


def test_one_record_makes_one_rise_after_the_falls_of_time() -> None:
    history = History(STAGED)
    history.act(0, event="demo")
    history.act(60, event="demo")
    assert [move[:3] for move in history.moves] == [
        ("visitor", "hot", "act"), ("hot", "warm", "decay"), ("warm", "visitor", "decay"), ("visitor", "hot", "act"),
    ]  # fmt: skip
    assert [t["index"] for t in history.transitions] == [0, 0, 1, 2]
    assert [t["at"] for t in history.transitions[1:3]] == [
        pytest.approx(history.at(10), abs=1000),
        pytest.approx(history.at(10 * log2(10)), abs=1000),
    ]


def test_a_stage_without_dwell_is_not_entered_where_its_exit_holds() -> None:
    model = changed(STAGED, ("exit: {score: below 50}, min_dwell: 2d", "exit: {dimensions.engagement: below 500}"))
    history = History(model)
    history.act(0, event="demo")
    assert history.stage == "warm"


def test_stages_of_sales_never_move_by_time_or_score() -> None:
    history = History(STAGED)
    history.act(0, event="demo")
    history.feedback(1, "accepted", 1)
    history.tick(300)
    for _ in range(3):
        history.act(301, event="demo")
    assert history.stage == "sal"


IDLE = (
    HEAD
    + """
dimensions: {engagement: {half_life: never}}
rules:
  - {id: view, points: 100, when: {event: page_view}}
  - {id: read, points: 0, activity: true, when: {event: opened}}
inactivity: [{after: 7d, points: -10}, {after: 10d, points: -20, repeat: true}]
stages:
  - {id: visitor}
  - {id: warm, enter: {score: at least 20}, exit: {idle: at least 35d}}
  - {id: hot, enter: {score: at least 100}, exit: {score: below 65}}
"""
)


@pytest.mark.parametrize(
    ("day", "score"),
    [(0, 100), (6.99, 100), (7, 90), (9.99, 90), (10, 70), (19.99, 70), (20, 50), (30, 30), (50, 0)],
)
def test_inactivity_adds_up_and_repeats(day: float, score: float) -> None:
    history = History(IDLE)
    history.act(0)
    assert history.price(day).score == score


def test_inactivity_counts_from_the_latest_act_and_is_lifted_by_the_next() -> None:
    history = History(IDLE)
    history.act(0)
    history.act(5, event="opened")
    history.act(3, event="opened", logged=5)
    assert [history.price(day).score for day in (11.9, 12, 15)] == [100, 90, 70]
    history.act(16, event="opened")
    assert history.price(16).score == 100


def test_before_a_first_act_there_is_no_inactivity() -> None:
    history = History(IDLE)
    history.known(0)
    assert [line for line in history.price(300).lines if line.kind == "inactivity"] == []


def test_falls_by_inactivity_and_by_idleness_name_it_as_the_cause() -> None:
    history = History(IDLE)
    history.act(0)
    history.tick(40)
    assert history.moves[1:] == [("hot", "warm", "inactivity", 20), ("warm", "visitor", "inactivity", 35)]


def test_marks_need_not_be_whole_milliseconds() -> None:
    thirds = changed(IDLE, ("after: 7d", "after: 0.3333333d"), ("idle: at least 35d", "idle: at least 0.7777777d"))
    history = History(changed(thirds, ("exit: {score: below 65}", "exit: {score: below 91}")))
    history.act(0)
    history.tick(1)
    assert [move[:3] for move in history.moves[1:]] == [
        ("hot", "warm", "inactivity"),
        ("warm", "visitor", "inactivity"),
    ]
    assert [t["score"] for t in history.transitions] == [100, 90, 90]
    late = [
        t["at"] - history.start - part * 86_400_000
        for t, part in zip(history.transitions[1:], (0.3333333, 0.7777777), strict=True)
    ]
    assert all(0 <= each < 1 for each in late)


def test_a_route_is_chosen_by_where_the_lead_goes_and_the_first_that_fits_wins() -> None:
    rich, poor = History(STAGED), History(STAGED)
    rich.act(0, event="demo", fields={"traits.size": "2000"})
    poor.act(0, event="demo")
    for history in (rich, poor):
        history.tick(60)
    routes = [
        [t["alert"] and (t["alert"]["route"], t["alert"]["send_to"]) for t in h.transitions] for h in (rich, poor)
    ]
    assert routes == [
        [("rich", ["vip"]), ("cooled", ["marketing"]), None],
        [("any hot", ["sales"]), ("cooled", ["marketing"]), None],
    ]


def test_a_route_for_leaving_looks_where_to() -> None:
    history = History(STAGED)
    history.act(0, event="demo")
    history.act(3, event="complaint")  # hot to visitor, not to warm
    history.act(9, event="demo")
    history.act(9, event="demo")
    history.feedback(10, "accepted", 1)  # hot to sal
    assert [t["alert"] is None for t in history.transitions] == [False, True, False, True]


def test_a_transition_carries_what_the_alert_needs() -> None:
    history = History(STAGED + "  ack_within: 2h\n  quiet_period: 3h\n  budget: 7 per hour\n  escalate_to: boss\n")
    history.act(0, event="demo", url="https://www.acme.example/x", title="A demo", fields={"traits.city": "Bonn"})
    told = history.transitions[0]
    assert told["alert"] == {
        "route": "any hot", "send_to": ["sales"], "quiet_period_ms": 10_800_000, "budget": 7,
        "budget_window_ms": 3_600_000, "ack_within_ms": 7_200_000, "escalate_to": "boss",
    }  # fmt: skip
    assert told["act"] == {
        "type": "demo", "subject": "A demo", "url": "https://www.acme.example/x", "at": history.start, "rules": ["big"],
    }  # fmt: skip
    assert (told["traits"], told["lead_key"]) == ({"city": "Bonn"}, "1ada")


def test_the_same_log_gives_the_same_bytes() -> None:
    sent = []
    history = History(STAGED)
    for day, event in ((0, "demo"), (3, "complaint"), (9, "demo")):
        history.act(day, event=event)
    for _ in range(2):
        fold = PartitionFold("events", 0, 1)
        sent.append(fold.fold(history.log))
    assert sent[0] == sent[1]
    assert sum(s.kind == "StageTransition" for s in sent[0]) == 3


def test_transitions_are_linked() -> None:
    history = History(STAGED)
    history.act(0, event="demo")
    history.tick(60)
    ids = [t["id"] for t in history.transitions]
    assert [t["prev"] for t in history.transitions] == ["", *ids[:-1]]
    assert [t["seq"] for t in history.transitions] == [1, 2, 3]


def test_idleness_counts_from_the_first_act_of_a_lead_that_sales_put_into_its_stage() -> None:
    model = changed(IDLE, ("exit: {idle: at least 35d}", "feedback: [nurture], exit: {idle: at least 2d}"))
    history = History(model)
    history.feedback(0, "nurture", 1)
    history.tick(30)
    assert history.stage == "warm"
    history.act(31, event="opened")
    history.tick(34)
    assert history.moves[-1] == ("warm", "visitor", "inactivity", 33)
