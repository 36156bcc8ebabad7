import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.event_names import normal_event_name

TABLE = [
    ("Form Submitted", "form_submitted"),
    ("form-submitted", "form_submitted"),
    ("  FORM   submitted ", "form_submitted"),
    ("form__submitted_", "form_submitted"),
    ("page", "page_view"),
    ("Page", "page_view"),
    ("pv", "page_view"),
    ("page_view", "page_view"),
    ("file_download", "download"),
    ("form_submit", "form_submitted"),
    ("Order Completed!", "order_completed"),
    ("表单 提交", "表单_提交"),
    ("form_*", "form_*"),
    ("", ""),
    ("---", ""),
]


@pytest.mark.parametrize(("text", "name"), TABLE)
def test_names_are_normalised_as_the_table_says(text: str, name: str) -> None:
    assert normal_event_name(text) == name


@given(st.text())
def test_a_normal_name_stays_as_it_is(text: str) -> None:
    assert normal_event_name(normal_event_name(text)) == normal_event_name(text)


def test_a_hostile_name_is_cut() -> None:
    assert len(normal_event_name("x" * 100_000)) == 200
