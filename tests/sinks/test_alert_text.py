import unicodedata
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import StageTransition
from sinks.alert_text import alert_text, digest_text, headline
from sinks.config import SHOWN_TRAITS
from sinks.plain_text import plain
from sinks.touch_text import came_from
from tests.sinks.records import ALERT, HOUR, MARCH_2, TOUCH, TRAITS, part, transition

UTC = ZoneInfo("UTC")
SHANGHAI = ZoneInfo("Asia/Shanghai")


def test_a_new_mql_reads_as_four_lines_with_the_last_act_first() -> None:
    text = alert_text(transition(), SHOWN_TRAITS, UTC, MARCH_2 + 17 * 24 * HOUR + 13 * HOUR)
    assert text.lines == (
        'Ada Lovelace, CTO at Big Bank, came to "Data Summit" · new MQL, A2',
        (
            'Why now: Came to an event "Data Summit" +50 · Downloaded a document "Metadata white paper" +10'
            " · score 60, fit 70"
        ),
        (
            "1,200 people, finance, CN · ada@bigbank.example · +86 ... 0123"
            ' · came from Baidu paid search, "metadata management", 12 February'
        ),
        "Answer by 09:15, then sales-managers · cools down 19 March 22:00 if nothing happens",
    )


def test_a_mail_lists_the_whole_receipt() -> None:
    text = alert_text(transition(), SHOWN_TRAITS, SHANGHAI)
    assert text.subject == "New MQL (A2): Ada Lovelace, CTO at Big Bank"
    assert text.body == (
        'Ada Lovelace, CTO at Big Bank, came to "Data Summit".\n'
        "\n"
        "Why now\n"
        "  +50.0  Came to an event: Data Summit, 2 March 17:00\n"
        "  +10.0  Downloaded a document: Metadata white paper, 2 March 17:00\n"
        "  Score 60.0, fit 70.0, grade A2. Was lead.\n"
        'Came from: Baidu paid search, "metadata management", 12 February\n'
        "Who: 1,200 people, finance, CN · ada@bigbank.example · +86 ... 0123\n"
        "\n"
        "Answer by 17:15, then sales-managers.\n"
        'You get this because route "hot lead" names sales-hot.\n'
    )


@pytest.mark.parametrize(
    ("traits", "who"),
    [
        ({"name": "Ada Lovelace"}, "Ada Lovelace"),
        ({"first_name": "Ada", "last_name": "Lovelace", "company": "Big Bank"}, "Ada Lovelace, Big Bank"),
        ({"name": "", "email": "ada@bigbank.example"}, "ada@bigbank.example"),
        ({"title": ["CTO", "CEO"]}, "A visitor (…f2aaaa), CTO, CEO"),
        ({"employees": "many"}, "A visitor (…f2aaaa)"),
        ({}, "A visitor (…f2aaaa)"),
    ],
)
def test_who_it_is_is_told_as_far_as_it_is_known(traits: dict[str, Any], who: str) -> None:
    assert headline(transition(traits=traits), SHOWN_TRAITS).startswith(f'{who}, came to "Data Summit"')


@pytest.mark.parametrize(
    ("key", "who"), [("1me", "A visitor (me)"), ("1visitor", "A visitor (…isitor)"), ("1sitor1", "A visitor (sitor1)")]
)
def test_a_visitor_is_named_by_the_end_of_the_id_without_the_digit_of_the_key(key: str, who: str) -> None:
    assert headline(transition(traits={}, lead_key=key), SHOWN_TRAITS).startswith(f"{who}, ")


def test_a_trait_that_may_not_be_shown_is_nowhere_in_the_text() -> None:
    text = alert_text(transition(), {"company", "country"}, UTC)
    whole = "\n".join([*text.lines, text.subject, text.body])
    assert "Big Bank" in whole
    for hidden in ("Ada", "CTO", "ada@bigbank", "0123", "1,200", "finance"):
        assert hidden not in whole


def test_a_lead_that_cooled_down_is_no_longer_what_it_was() -> None:
    down = transition(direction="down", from_stage="mql", to_stage="recycled", cause="decay", act=None, alert=None)
    text = alert_text(down, SHOWN_TRAITS, UTC)
    assert text.lines[0] == "Ada Lovelace, CTO at Big Bank, cooled down · no longer MQL, now recycled"
    assert text.lines[1] == "Why: its points have faded · score 60, fit 70"
    assert text.subject == "No longer MQL, now recycled: Ada Lovelace, CTO at Big Bank"
    assert not any("Answer" in line for line in (*text.lines, text.body))


def test_a_lead_that_fell_is_told_with_what_was_taken_off() -> None:
    idle = {**transition()["receipt"][0], "kind": "inactivity", "name": "inactivity-1", "points": -30.0}
    down = transition(direction="down", receipt=[*transition()["receipt"], idle])
    assert alert_text(down, SHOWN_TRAITS, UTC).lines[1] == "Why: no act for long -30 · score 60, fit 70"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ack_within_ms": 0}, None),
        ({"ack_within_ms": 20 * HOUR, "escalate_to": None}, "Answer by 3 March 05:00"),
        ({"ack_within_ms": HOUR}, "Answer by 10:00, then sales-managers"),
    ],
)
def test_when_to_answer_is_said_if_the_model_says_it(changes: dict[str, Any], words: str | None) -> None:
    lines = alert_text(transition(alert=ALERT | changes), SHOWN_TRAITS, UTC).lines
    assert (lines[-1] == words) if words else not any("Answer" in line for line in lines)


@pytest.mark.parametrize(
    ("act", "words"),
    [
        ({"type": "page_view", "url": "www.acme.example/pricing?email=x@y.z"}, 'looked at "www.acme.example/pricing"'),
        ({"type": "crane_rented", "subject": "Big one"}, 'crane rented "Big one"'),
        ({"type": "trial_started"}, "started a trial"),
    ],
)
def test_the_last_act_is_said_in_words(act: dict[str, Any], words: str) -> None:
    whole = {"subject": "", "url": "", "at": MARCH_2, "rules": []} | act
    assert headline(transition(act=whole), SHOWN_TRAITS) == f"Ada Lovelace, CTO at Big Bank, {words} · new MQL, A2"


@pytest.mark.parametrize(
    ("touch", "words"),
    [
        ({"campaign": None}, "source website, 12 February"),
        ({"campaign": None, "source": None}, "direct, 12 February"),
        ({"campaign": None, "click_id": {"kind": "gclid", "value": "Cj0K"}}, "Google ad, 12 February"),
        ({"campaign": None, "referrer": "https://news.example/a?b"}, "news.example, 12 February"),
        ({"campaign": None, "referrer": "http://[", "source": None}, "direct, 12 February"),
        (
            {"campaign": TOUCH["campaign"] | {"medium": "email", "term": None, "name": "2026-spring"}},  # type: ignore[operator]  # it is there
            "Baidu e-mail 2026-spring, 12 February",
        ),
    ],
)
def test_where_a_lead_came_from_is_said_in_words(touch: dict[str, Any], words: str) -> None:
    assert came_from(transition(first_touch=TOUCH | touch), UTC) == words


def test_the_last_touch_is_told_only_if_it_is_another() -> None:
    last = TOUCH | {"campaign": None, "referrer": "https://news.example/", "at": MARCH_2}
    assert came_from(transition(first_touch=None, last_touch=last), UTC) == "last: news.example"
    assert came_from(transition(first_touch=last, last_touch=last), UTC) == "news.example, 2 March"


def test_a_long_receipt_is_summed_up_and_its_lines_add_up_to_the_score() -> None:
    receipt = [part(f"r{i}", f"Rule {i}", points) for i, points in enumerate([9.0] * 13 + [-30.0, 20.0])]
    body = alert_text(transition(receipt=receipt, score=107.0), SHOWN_TRAITS, UTC).body
    lines = [line for line in body.splitlines() if line.startswith(("  +", "  -"))]
    assert sum(float(line.split()[0]) for line in lines) == pytest.approx(107.0)
    assert lines[0].startswith("  -30.0  Rule 13")
    assert lines[-1] == "  +27.0  3 more"


@pytest.mark.parametrize(
    ("outside", "shown"),
    [
        ("Ada\nLovelace\r\n\x1b[31m", "Ada Lovelace (31m"),
        ("<!channel> <@U123> @here", "‹!channel› ‹＠U123› ＠here"),
        ("[red]x[/red] *b* `c` ~d~", "(red)x(/red) ∗b∗ 'c' ∼d∼"),
        ("https://evil.example/x", "https: evil.example/x"),
        ("\u202egnp.exe", "gnp.exe"),
        ("ada@bigbank.example", "ada@bigbank.example"),
        ("王伟，数据总监", "王伟，数据总监"),
        ("x" * 500, "x" * 119 + "…"),
    ],
)
def test_text_from_outside_is_one_harmless_line(outside: str, shown: str) -> None:
    assert plain(outside) == shown
    assert shown in headline(transition(traits={"name": outside}), SHOWN_TRAITS)


@given(st.text(max_size=300))
def test_no_text_from_outside_keeps_markup_mentions_links_or_control_characters(outside: str) -> None:
    line = plain(outside)
    assert len(line) <= 120
    assert not set("<>`*[]|~") & set(line)
    assert "://" not in line
    assert not any(unicodedata.category(each)[0] == "C" for each in line)


words = st.text(max_size=40)


@given(
    st.dictionaries(st.sampled_from(sorted(TRAITS)), words | st.lists(words, max_size=3)),
    st.sampled_from(["up", "down"]),
    words,
)
def test_any_transition_has_a_text_of_at_most_four_lines(traits: dict[str, Any], direction: str, cause: str) -> None:
    move: StageTransition = {**transition(), "traits": traits, "direction": direction, "cause": cause, "act": None}
    text = alert_text(move, SHOWN_TRAITS, UTC)
    assert 2 <= len(text.lines) <= 4
    assert all(line and "\n" not in line for line in (*text.lines, text.subject))


def test_a_digest_says_how_many_and_lists_the_best_first() -> None:
    text = digest_text(["Ada", "Wei"])
    assert (text.subject, text.lines) == ("2 more, best first", ("2 more, best first", "Ada", "Wei"))
