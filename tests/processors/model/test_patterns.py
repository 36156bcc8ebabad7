import re
from string import ascii_letters

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.model.patterns import any_pattern, normal


def fits(pattern: str, text: str) -> bool:
    return any_pattern([pattern])(normal(text))


TABLE = [
    ("ceo", "CEO", True),
    ("ceo", " ceo ", True),
    ("ceo", "ceos", False),
    ("chief *", "Chief Executive", True),
    ("chief *", "chief", False),
    ("*intern", "Summer Intern", True),
    ("*intern", "internal", False),
    ("*founder*", "Co-Founder & CEO", True),
    ("*founder*", "founder", True),
    ("*总经理*", "副总经理", True),
    ("a*b*c", "a-b-c", True),
    ("a*b*c", "abc", True),
    ("a*b*c", "acb", False),
    ("ab*ba", "aba", False),
    ("*a*b*", "xxbxxa", False),
    ("**", "x", True),
    ("*", "x", True),
    ("*", "", False),
    ("*", "   ", False),
    ("", "", False),
    ("**", "", False),
    ("STRASSE", "Straße", True),
    ("caf\u00e9", "CAFE\u0301", True),  # composed and decomposed
    ("a.c", "abc", False),  # nothing but * is special
    ("[ab]", "a", False),
    ("a?c", "abc", False),
]


@pytest.mark.parametrize(("pattern", "text", "expected"), TABLE)
def test_patterns_fit_as_the_table_says(pattern: str, text: str, expected: bool) -> None:
    assert fits(pattern, text) is expected


def test_of_several_patterns_one_is_enough() -> None:
    test = any_pattern(["ceo", "chief *", "*founder*", "*officer", "a*b*c"])
    assert [test(text) for text in ("ceo", "chief of staff", "cofounder", "data officer", "axbxc", "intern")] == [
        True,
        True,
        True,
        True,
        True,
        False,
    ]


def test_no_pattern_fits_nothing() -> None:
    assert any_pattern([])("x") is False


short = st.text(alphabet="ab*", max_size=8)


@given(short, st.text(alphabet="ab", min_size=1, max_size=12))
def test_a_pattern_fits_what_the_same_regular_expression_fits(pattern: str, text: str) -> None:
    expression = ".*".join(map(re.escape, pattern.split("*")))
    assert fits(pattern, text) is (re.fullmatch(expression, text) is not None)


@given(
    st.text(alphabet=ascii_letters + "äößéÑΣ *", max_size=12), st.text(alphabet=ascii_letters + "äößéÑΣ ", max_size=20)
)
def test_case_and_surrounding_spaces_do_not_count(pattern: str, text: str) -> None:
    assert fits(pattern, text) is fits(f" {pattern.casefold()} ", f"  {text.casefold()}\t")


@given(st.text(), st.text())
def test_any_text_is_matched_without_an_error(pattern: str, text: str) -> None:
    assert fits(pattern, text) in (True, False)


@given(st.text())
def test_normal_text_stays_as_it_is(text: str) -> None:
    assert normal(normal(text)) == normal(text)


def test_a_hostile_pattern_costs_no_more_than_its_length() -> None:
    assert fits("*a" * 500 + "*b", "a" * 100_000) is False
