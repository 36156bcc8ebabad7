"""One record about one lead: every outcome, and what it leaves in the row."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.fold_lead import MAX_FENCES
from processors.models import load_shipped
from processors.row_store import MAX_ROW_BYTES
from processors.take_traits import MAX_TRAITS, cut
from processors.units import MAX_LIMITED_ENTRIES
from processors.window import MAX_WINDOW
from schemas.codec import encode
from schemas.rows import Row
from tests.processors.history import LEAD, History
from tests.processors.small_models import COUNTING, STAGED

PAGE = "https://www.acme.example/pricing"


def row_of(history: History) -> Row:
    opened = history.fold.rows.read(LEAD)
    assert opened is not None
    return opened.row


def event(history: History, day: float, event_id: str | None = None, **changes: Any) -> None:
    logged = changes.pop("logged", day)
    fields = {"event": "page_view", "url": PAGE} | changes.pop("fields", {})
    tracked: dict[str, Any] = {**history.event(day, fields), **changes}
    if event_id is not None:
        tracked["event_id"] = event_id
    history.record(logged, LEAD, encode("TrackedEvent", tracked))


BOT = {"bot": True, "late": False, "clamped": False}


@pytest.mark.parametrize(
    ("outcome", "day", "event_id", "changes"),
    [
        ("folded", 10, "new", {}),
        ("folded", 10, "", {}),  # no id of the client: the place in the log is the id
        ("bot", 10, "new", {"flags": BOT}),
        ("bot", 10, "first", {"flags": BOT}),
        ("folded", 3.01, "new", {"logged": 10}),
        ("folded", 3, "new", {"logged": 10}),
        ("late", 2.99, "new", {"logged": 10}),
        ("folded", 11, "new", {"logged": 10}),  # a clock that runs ahead is cut to the record
        ("duplicate", 10, "first", {}),
        ("duplicate", 9, "first", {"occurred_at": None, "logged": 10}),
        ("foreign_host", 10, "new", {"fields": {"url": "https://elsewhere.example/pricing"}}),
        ("folded", 10, "new", {"fields": {"url": "/pricing"}}),
    ],
)
def test_every_outcome_of_an_event(outcome: str, day: float, event_id: str, changes: dict[str, Any]) -> None:
    history = History(COUNTING)
    event(history, 9, "first")
    before, score = history.fold.rows.packed(LEAD), history.price(10).score
    history.fold.outcomes.clear()
    event(history, day, event_id, **changes)
    assert history.fold.outcomes == {outcome: 1}
    changed = history.fold.rows.packed(LEAD) != before
    assert changed == (outcome in {"folded", "foreign_host"})
    assert history.price(10).score == score + (outcome == "folded")


def test_what_a_stranger_host_says_of_the_person_counts_and_its_page_does_not() -> None:
    history = History(COUNTING)
    event(history, 0, fields={"url": "https://elsewhere.example/pricing"}, email_kind="business")
    assert (history.price(0).score, history.stage) == (0, "lead")


def test_an_act_is_a_repeat_for_eight_days_and_new_after_them() -> None:
    history = History(COUNTING)
    event(history, 0, "again")
    event(history, 7.9, "again", occurred_at=None)
    event(history, 8.1, "again", occurred_at=None)
    assert history.fold.outcomes["duplicate"] == 1
    assert history.price(9).score == 2


def test_an_act_that_comes_again_after_eight_days_takes_its_place_anew_in_the_window() -> None:
    history = History(COUNTING)
    event(history, 0.9, "again")
    event(history, 8.95, "again")
    row = row_of(history)
    assert len(row.window) == row.hits == 1
    event(history, 9.5, "again")
    assert history.fold.outcomes["duplicate"] == 1


def test_a_flood_is_dropped_and_the_lead_is_heard_again_when_the_flood_is_old() -> None:
    history = History(COUNTING)
    for number in range(MAX_WINDOW // 2 + 10):  # each act has one hit
        event(history, 0, f"f{number}")
    assert history.fold.outcomes["flood"] == 10
    assert history.price(0).score == MAX_WINDOW / 2
    event(history, 7, "too-soon")
    assert history.fold.outcomes["flood"] == 11
    event(history, 9.5, "after")
    event(history, 9.5, "after-that")
    assert history.price(10).score == MAX_WINDOW / 2 + 2
    row = row_of(history)
    assert (len(row.window), row.hits) == (2, 2)


def line(
    history: History, day: float, number: int, occurred: float, import_id: str = "crm-2025", **fields: Any
) -> None:
    told = {**history.event(occurred, {"event": "page_view", "url": PAGE} | fields), "event_id": ""}
    value = encode("ImportedLine", {"import_id": import_id, "line": number, "event": told})
    history.record(day, LEAD, value)


def test_imported_lines_may_be_years_old_and_count_once() -> None:
    history = History(COUNTING)
    for number in (1, 2, 2, 1, 3):
        line(history, 0, number, -700)
    assert history.price(0).score == 3
    assert history.fold.outcomes["fenced"] == 2
    line(history, 0, 1, -700, import_id="another")
    assert history.price(0).score == 4
    assert (row_of(history).last_at, row_of(history).window) == (history.at(-700), {})


def test_an_imported_bot_is_left_out() -> None:
    history = History(COUNTING)
    told = {**history.event(-9, {"event": "page_view"}), "flags": BOT}
    history.record(0, LEAD, encode("ImportedLine", {"import_id": "i", "line": 1, "event": told}))
    assert history.fold.outcomes["bot"] == 1
    assert history.stage == "gone"


def test_a_257th_source_is_a_dead_letter_and_the_known_ones_go_on() -> None:
    history = History(COUNTING)
    for number in range(MAX_FENCES):
        line(history, 0, 1, -10, import_id=f"i{number}")
    line(history, 0, 1, -10, import_id="one-too-many")
    assert history.fold.outcomes["fold_error"] == 1
    line(history, 0, 2, -10, import_id="i0")
    assert history.price(0).score == MAX_FENCES + 1
    assert len(row_of(history).fences) == MAX_FENCES


def test_an_endless_name_of_a_source_is_a_dead_letter() -> None:
    history = History(COUNTING)
    line(history, 0, 1, -10, import_id="i" * 300)
    assert history.fold.outcomes["fold_error"] == 1
    assert history.stage == "gone"


@pytest.mark.parametrize(
    ("start", "word", "stage", "way"),
    [
        ("visitor", "accepted", "sal", "up"),
        ("visitor", "won", "customer", "up"),
        ("hot", "accepted", "sal", "up"),
        ("hot", "lost", "warm", "down"),
        ("customer", "accepted", "sal", "down"),
        ("customer", "lost", "warm", "down"),
    ],
)
def test_feedback_moves_a_lead_from_anywhere(start: str, word: str, stage: str, way: str) -> None:
    history = History(STAGED)
    history.act(0, event="demo" if start == "hot" else "page_view")
    if start == "customer":
        history.feedback(0, "won", 1)
    assert history.stage == start
    history.feedback(1, word, 2)
    assert history.stage == stage
    told = history.transitions[-1]
    assert (told["from_stage"], told["direction"], told["cause"], told["act"]) == (start, way, "feedback", None)


def test_feedback_about_the_stage_the_lead_is_in_moves_nothing() -> None:
    history = History(STAGED)
    history.act(0, event="page_view")
    history.feedback(0, "accepted", 1)
    history.feedback(1, "accepted", 2)
    assert len(history.moves) == 1


def test_repeated_and_older_feedback_is_fenced_off_per_object() -> None:
    history = History(STAGED)
    history.act(0, event="page_view")
    history.feedback(0, "accepted", 5)
    history.feedback(1, "won", 5)
    history.feedback(1, "won", 4)
    assert (history.stage, history.fold.outcomes["fenced"]) == ("sal", 2)
    other = {
        "word": "won",
        "system": "crm",
        "object": "o2",
        "version": 1,
        "silent": False,
        "user": None,
        "reason": None,
    }
    history.record(2, LEAD, encode("Feedback", other))
    assert history.stage == "customer"


def test_a_word_that_no_stage_lists_still_fences_off_older_answers() -> None:
    history = History(STAGED)
    history.act(0, event="page_view")
    history.feedback(1, "on-holiday", 2)
    history.feedback(1, "accepted", 1)
    assert history.stage == "visitor"
    assert history.fold.outcomes["no_such_word"] == history.fold.outcomes["fenced"] == 1


def test_feedback_that_moves_nobody_makes_no_lead() -> None:
    history = History(STAGED)
    history.feedback(0, "on-holiday", 1)
    assert history.stage == "gone"
    history.feedback(0, "accepted", 2)
    assert history.stage == "sal"


def test_silent_feedback_makes_a_transition_that_alerts_nobody() -> None:
    model = STAGED.replace("enters: hot, send_to: [sales]", "enters: sal, send_to: [sales]")
    loud, silent = History(model), History(model)
    for history in (loud, silent):
        history.feedback(0, "accepted", 1, silent=history is silent)
    assert [history.transitions[0]["alert"] is None for history in (loud, silent)] == [False, True]


def test_feedback_on_the_way_down_starts_the_cooldown_of_each_stage_passed() -> None:
    history = History(STAGED)
    history.act(0, event="demo")
    history.feedback(1, "accepted", 1)
    history.feedback(2, "lost", 2)  # passes hot: 5 days
    assert row_of(history).cool_until == history.at(7)
    history.act(3, event="demo")
    assert history.stage == "warm"
    history.act(7, event="page_view")
    assert history.stage == "hot"


def test_what_is_limited_pays_once_in_its_window() -> None:
    history = History(COUNTING)
    for day in (0, 0.1, 1, 2):
        history.act(day, event="trial_started")
        history.act(day, event="download", asset="a")
        history.act(day, event="download", asset="b")
    assert history.price(2).score == 100 + 3 * 2 * 10
    tally = row_of(history).tallies["once"]
    assert (tally.count, tally.last_at) == (4, history.at(2))


def test_traits_are_those_said_last_by_event_time_and_an_empty_one_clears() -> None:
    history = History(COUNTING)
    history.act(2, fields={"traits.title": "CTO", "traits.city": "Bonn"})
    history.act(1, logged=3, fields={"traits.title": "student", "traits.size": "5"})
    assert [history.price(3).trait(name) for name in ("title", "size", "city")] == ["CTO", "5", "Bonn"]
    history.act(4, fields={"traits.title": ""})
    assert history.price(4).trait("title") is None
    history.act(3.5, logged=5, fields={"traits.title": "intern"})  # said before it was cleared
    assert history.price(5).trait("title") is None


def test_first_and_last_touch_go_by_event_time() -> None:
    history = History(COUNTING)
    history.act(2, fields={"utm.source": "b"})
    history.act(3, fields={"url": PAGE})  # no campaign: no touch
    history.act(1, logged=4, fields={"utm.source": "a"})
    history.act(3.5, logged=4, click_id="gclid")
    price = history.price(4)
    assert price.first_touch is not None
    assert price.last_touch is not None
    assert price.first_touch["campaign"] is not None
    assert (price.first_touch["campaign"]["source"], price.first_touch["at"]) == ("a", history.at(1))
    assert (price.last_touch["click_id"], price.last_touch["at"]) == (
        {"kind": "gclid", "value": "test"},
        history.at(3.5),
    )


def test_visits_begin_after_half_an_hour_of_silence() -> None:
    history = History(COUNTING)
    for minute in (0, 29, 58, 100, 101):
        history.act(minute / 1440)
    assert (row_of(history).visits, row_of(history).first_at) == (2, history.at(0))


def test_a_65th_trait_is_not_taken_and_the_known_ones_still_change() -> None:
    history = History(COUNTING)
    history.act(0, fields={f"traits.t{number:02}": "x" for number in range(80)})
    assert len(row_of(history).traits) == MAX_TRAITS
    known = next(iter(row_of(history).traits))
    history.act(1, fields={"traits.new": "x", f"traits.{known}": "y"})
    assert history.price(1).trait(known) == "y"
    assert history.price(1).trait("new") is None


def test_over_a_thousand_limited_acts_the_oldest_window_closes_and_stays_paid() -> None:
    history = History(COUNTING)
    for number in range(5 * 256):  # 256 slots in each of five days
        history.act(number / 256, event="download", asset=f"paper-{number}")
    row = row_of(history)
    paid = history.price(5).score
    assert row.entries == sum(1 + len(e[-1]) for bs in row.limited.values() for b in bs.values() for e in b.entries)
    assert row.entries <= MAX_LIMITED_ENTRIES
    history.act(5.7, event="download", asset="paper-1")
    assert history.price(6).score == paid + 10


def test_no_stranger_can_make_a_row_too_large() -> None:
    history = History(load_shipped("reference"))
    wide = "\U0001f600" * 2000
    for number in range(3300):
        day = number / 500
        fields: dict[str, Any] = {
            "event": ("content_saved", "download", "page_view", "email_clicked")[number % 4],
            "url": f"https://www.acme.example/product/customers/solutions/growth/{wide}",
            "asset": f"data-platform-{number}",
            "title": wide,
            "properties.topic": "content-marketing",
            "utm.source": wide, "utm.medium": "cpc", "utm.campaign": wide, "utm.term": wide, "utm.content": wide,
        }  # fmt: skip
        if number < 40:
            fields |= {f"traits.{number}-{n}-{wide}": [wide] * 30 if n % 2 else wide for n in range(2)}
        event(history, day, f"{wide}{number}", fields=fields)
    assert history.fold.outcomes["flood"] > 0
    packed = history.fold.rows.packed(LEAD)
    assert packed is not None
    assert 100_000 < len(packed) < MAX_ROW_BYTES


@given(st.text(max_size=40), st.integers(0, 60))
def test_cut_text_is_a_beginning_and_fits(text: str, most: int) -> None:
    short = cut(text, most)
    assert text.startswith(short)
    assert len(short.encode()) <= most
    assert short == text or len(text[: len(short) + 1].encode()) > most
