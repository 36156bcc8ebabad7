import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources import values
from sources.outcomes import ItemError
from sources.values import Flattened, as_number, as_text, check_item, item_bytes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner, max_size=5),
    max_leaves=20,
)


def deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("item", "reason", "detail"),
    [
        ({"a": "x" * 33_000}, "too_large", "33,008 bytes"),
        (deep(values.MAX_DEPTH + 1), "too_deep", "more than 16 levels"),
        ({"a": {"b": [1, float("nan")]}}, "bad_json", "a.b[1]: nan is not a JSON number"),
        ({"a": json.loads("1e999")}, "bad_json", "a: inf"),
        ({"a": json.loads(r'"\ud800"')}, "bad_json", "a: the text has a lone surrogate"),
        (json.loads(r'{"\ud800": 1}'), "bad_json", "a name has a lone surrogate"),
        ([], "bad_event", "expected a JSON object"),
        ("text", "bad_event", "expected a JSON object"),
        (None, "bad_event", "expected a JSON object"),
    ],
)
def test_what_cannot_be_a_record_is_refused_with_the_place(item: object, reason: str, detail: str) -> None:
    with pytest.raises(ItemError) as caught:
        check_item(item, item_bytes(item))
    assert caught.value.reason == reason
    assert detail in caught.value.detail


def test_what_is_just_within_the_bounds_passes() -> None:
    item = deep(values.MAX_DEPTH)
    assert check_item(item, item_bytes(item)) is item


def test_names_are_joined_with_dots_and_later_values_win() -> None:
    flat = Flattened()
    flat.add({"bant": {"budget": "open", "need": None}, "tags": ["a", 1, 0.5, True], "n": 1})
    flat.add({"bant": {"budget": "confirmed"}})
    assert flat.values == {"bant.budget": "confirmed", "bant.need": None, "tags": ["a", "1", "0.5", "true"], "n": 1}
    assert flat.cut == 0


def test_what_is_too_long_or_too_many_is_cut_and_counted() -> None:
    flat = Flattened()
    flat.add({"long": "x" * 2_000, "n" * 129: 1, "list": ["x"] * 51, "mixed": [{"a": 1}, "b", None], "big": 10**30})
    assert flat.values == {"long": "x" * 1_024, "list": ["x"] * 50, "mixed": ["b"], "big": str(10**30)}
    assert flat.cut == 1 + 1 + 1 + 2
    flat.add({f"n{number}": number for number in range(200)})
    assert len(flat.values) == values.MAX_NAMES


@given(st.dictionaries(st.text(), JSON, max_size=10))
def test_flattened_values_always_fit_the_contract(item: dict[str, Any]) -> None:
    flat = Flattened()
    flat.add(item)
    assert len(flat.values) <= values.MAX_NAMES
    for name, value in flat.values.items():
        assert len(name) <= values.MAX_NAME_CHARACTERS
        assert value is None or isinstance(value, bool | int | float | str | list)
        assert not isinstance(value, int) or -(2**63) <= value < 2**63


@pytest.mark.parametrize(
    ("value", "text", "number"),
    [
        (7, "7", 7.0),
        (7.0, "7", 7.0),
        (0.5, "0.5", 0.5),
        (" 12.5 ", "12.5", 12.5),
        ("12 min", "12 min", None),
        (-1, "-1", None),
        (True, "true", None),
        ("", None, None),
        (None, None, None),
        ({}, None, None),
    ],
)
def test_scalars_as_text_and_as_numbers(value: object, text: str | None, number: float | None) -> None:
    assert as_text(value) == text
    assert as_number(value) == number
