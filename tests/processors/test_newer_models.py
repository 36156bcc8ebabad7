"""A newer model comes into force: what it moves, what it leaves, and which of several counts."""

import pytest

from processors.fold_partition import PartitionFold
from schemas.codec import decode
from schemas.keys import CONTROL_KEY
from tests.processors.history import LEAD, History, Logged, model_record
from tests.processors.small_models import STAGED, changed
from tests.processors.strategies import TICK

STRICTER = changed(STAGED, ("enter: {score: at least 100}, exit: {score: below 50}",
                            "enter: {score: at least 300}, exit: {score: below 200}"))  # fmt: skip
LAXER = changed(STAGED, ("enter: {score: at least 100}", "enter: {score: at least 55}"))


def test_a_model_promotes_nobody_and_who_now_qualifies_rises_at_the_next_act() -> None:
    history = History(STAGED)
    history.act(0, event="webinar")
    assert history.stage == "warm"
    history.activate(0.1, LAXER, 2)
    history.tick(0.2)
    assert history.stage == "warm"
    history.act(0.3)
    assert history.moves[-1][:3] == ("warm", "hot", "act")
    assert history.transitions[-1]["alert"] is not None


@pytest.mark.parametrize("notify", [False, True])
@pytest.mark.parametrize("by", ["tick", "act"])
def test_who_no_longer_qualifies_falls_when_the_model_came(by: str, notify: bool) -> None:
    history = History(STAGED)
    history.act(0, event="demo")
    history.activate(3, STRICTER, 2, notify=notify)
    if by == "tick":
        history.tick(4)
    else:
        history.act(4)
    assert history.moves[-1] == ("hot", "warm", "model", 3)
    assert (history.transitions[-1]["alert"] is not None) == notify
    assert history.transitions[-1]["model"]["n"] == 2


def test_a_fall_after_the_model_came_is_no_longer_its_doing() -> None:
    history = History(STAGED)
    history.act(0, event="demo")
    history.activate(1, changed(STAGED, ("exit: {score: below 50}", "exit: {score: below 80}")), 2)
    history.tick(9)
    assert history.moves[-1][2] == "decay"
    assert history.moves[-1][3] == pytest.approx(3.219281, abs=1 / 86400)


def test_a_changed_half_life_keeps_what_the_points_are_worth_at_that_instant() -> None:
    limited = changed(STAGED, ("when: {event: webinar}", "when: {event: webinar}, limit: {times: 2, per: week}"))
    history = History(limited)
    for day in (0, 1, 2):
        history.act(day, event="webinar")
        history.act(day, event="demo")
    before = history.price(5).score
    history.activate(5, changed(limited, ("half_life: 10d", "half_life: 2d")), 2)
    history.act(5, event="nothing")
    assert history.price(5).score == pytest.approx(before, abs=1e-6)
    assert history.price(7).score == pytest.approx(before / 2, abs=1e-6)
    history.act(5, event="webinar")  # a new best act of the week pushes out an old one, converted too
    worth = 60 * (2 ** (-3 / 10) + 2 ** (-4 / 10)) - 60 * 2 ** (-4 / 10)
    assert history.price(5).score == pytest.approx(100 * sum(2 ** (-d / 10) for d in (3, 4, 5)) + worth + 60, abs=1e-6)


RENAMED = ("id: big, points: 100", "id: demo-request, was: big, points: 100")


@pytest.mark.parametrize(("rename", "score"), [(RENAMED, 100), (("id: big,", "id: demo-request,"), 0)])
def test_a_renamed_rule_keeps_its_points_if_it_says_what_it_was(rename: tuple[str, str], score: float) -> None:
    history = History(changed(STAGED, ("when: {event: demo}", "when: {event: demo}, tags: [t]"),
                              ("rules:", "tags: [{id: t, match: {asset: none}}]\nrules:")))  # fmt: skip
    history.act(0, event="demo")
    tagged = history.model
    history.activate(0, changed(tagged, rename), 2)
    history.act(0, event="nothing")
    found = history.price(0)
    assert (found.score, found.tag("t")) == (score, score / 100)
    assert (found.did("demo-request", 0), found.did("big", 0)) == (score > 0, score == 0)
    history.activate(1, changed(tagged, rename, ("half_life: 10d", "half_life: 1d")), 3)
    history.act(2, event="nothing")
    assert history.price(2).score == pytest.approx(score * 2**-0.1 / 2, abs=1e-6)


def test_a_renamed_rule_with_a_limit_goes_on_in_the_same_window() -> None:
    limited = changed(STAGED, ("when: {event: demo}", "when: {event: demo}, limit: {times: 1, per: day}"))
    history = History(limited)
    history.act(0, event="demo")
    history.activate(0, changed(limited, RENAMED), 2)
    history.act(0.1, event="demo")
    assert history.price(0.1).score == 100
    row = history.fold.rows.read(LEAD)
    assert row is not None
    assert (list(row.row.limited), row.row.entries) == (["#days", "demo-request"], 2)


def test_a_rule_that_takes_over_another_has_the_points_of_both() -> None:
    limit = "limit: {times: 1, per: day}"
    both = changed(STAGED, ("when: {event: demo}", "when: {event: demo}, " + limit),
                   ("when: {event: webinar}", "half_life: 5d, when: {event: webinar}, " + limit))  # fmt: skip
    history = History(both)
    history.act(0, event="demo")
    history.act(1, event="webinar")
    heir = changed(
        both,
        ("  - {id: big, points: 100, when: {event: demo}, " + limit + "}\n", ""),
        ("id: mid,", "id: mid, was: big,"),
    )
    history.activate(1, heir, 2)
    history.act(1, event="nothing")
    assert history.price(1).score == pytest.approx(60 * (2**-0.1 + 1), abs=1e-6)
    assert history.price(6).score == pytest.approx(30 * (2**-0.1 + 1), abs=1e-6)
    opened = history.fold.rows.read(LEAD)
    assert opened is not None
    assert (opened.row.tallies["mid"].count, opened.row.tallies["mid"].last_id) == (2, "e1")
    assert opened.row.entries == sum(len(b.entries) for bs in opened.row.limited.values() for b in bs.values()) == 3


def test_a_stale_write_behind_the_null_of_a_forgotten_row_is_forgotten_at_the_next_tick() -> None:
    history = History(STAGED)
    history.act(0)
    changelog = history.fold.take_checkpoint(3)
    history.tick(200)
    changelog += history.fold.take_checkpoint(4) + history.fold.take_checkpoint(5)
    fold = PartitionFold("events", 0, 1)
    for key, value in [*changelog, changelog[1]]:
        fold.restore(key, value)
    fold.restored()
    assert (changelog[1][0], fold.rows.read(LEAD) is None) == (LEAD, False)
    fold.fold([Logged(5, history.at(201), CONTROL_KEY, TICK)])
    assert fold.rows.read(LEAD) is None


def test_a_lead_in_a_stage_that_is_gone_begins_anew() -> None:
    history = History(STAGED)
    history.feedback(0, "accepted", 1)
    history.activate(1, changed(STAGED, ("id: sal", "id: talks")), 2)
    history.tick(2)
    assert history.moves[-1] == ("sal", "visitor", "model", 1)
    assert history.transitions[-1]["alert"] is None


def test_a_model_with_a_smaller_number_is_ignored() -> None:
    history = History(STAGED)
    history.activate(0, LAXER, 5)
    history.activate(0, STRICTER, 4)
    history.act(0, event="webinar")
    assert (history.stage, history.fold.outcomes["model_ignored"]) == ("hot", 1)


def test_of_two_models_with_the_same_number_all_partitions_take_the_same() -> None:
    stages = []
    for first, second in ((LAXER, STRICTER), (STRICTER, LAXER)):
        history = History(STAGED)
        history.act(0, event="demo")
        history.activate(3, first, 2)
        history.act(3.1)  # the row now knows the model with this n
        history.activate(4, second, 2)
        history.tick(5)
        stages.append((history.price(5).score, history.fold.models.newest))
    assert stages[0][1] is not None
    assert stages[1][1] is not None
    assert stages[0][1].model.version == stages[1][1].model.version


def test_a_row_follows_from_one_model_to_another_with_the_same_number() -> None:
    def version(text: str) -> str:
        return str(decode(model_record(text))[1]["version"])

    renamed = changed(
        STAGED, ("id: hot", "id: boiling"), ("enters: hot", "enters: boiling"), ("leaves: hot", "leaves: boiling")
    )
    later = next(
        text
        for n in range(2, 99)
        if version(text := changed(renamed, ("points: 1,", f"points: {n},"))) > version(LAXER)
    )
    history = History(STAGED)
    history.act(0, event="demo")
    for day, model in ((3, LAXER), (4, later)):
        history.activate(day, model, 2)
        history.act(day + 0.1)
    assert history.moves[1] == ("hot", "visitor", "model", 4)
    assert history.fold.outcomes["fold_error"] == 0


def test_a_record_that_comes_with_an_earlier_time_than_the_model_still_falls_by_the_model() -> None:
    history = History(STAGED)
    history.act(0, event="demo")
    history.activate(3, STRICTER, 2)
    history.act(2.9)
    assert history.moves[-1] == ("hot", "warm", "model", 3)
