import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.attribution import CLICK_IDS, campaign_of, click_id_of, query_of

NOTHING = {"source": None, "medium": None, "name": None, "term": None, "content": None, "id": None}


def test_utm_values_are_trimmed_and_casefolded() -> None:
    query = query_of("https://a.example/?utm_source=%20Google&utm_medium=CPC&utm_campaign=Fr%C3%BChling+1&utm_id=A7")
    assert campaign_of({}, query) == {**NOTHING, "source": "google", "medium": "cpc", "name": "frühling 1", "id": "a7"}


def test_the_campaign_that_the_client_names_is_taken_whole_and_never_mixed_with_the_url() -> None:
    query = query_of("https://a.example/?utm_source=google&utm_term=x")
    assert campaign_of({"source": "News", "name": "May"}, query) == {**NOTHING, "source": "news", "name": "may"}
    assert campaign_of({"source": " ", "odd": 1}, query) == {**NOTHING, "source": "google", "term": "x"}


def test_no_utm_value_is_no_campaign() -> None:
    assert campaign_of({}, query_of("https://a.example/pricing?utm_source=&plan=b")) is None
    assert campaign_of({"source": {"a": 1}}, {}) is None


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("gclid=AbC-1", ("gclid", "AbC-1")),
        ("GCLID=AbC-1", ("gclid", "AbC-1")),
        ("fbclid=f&msclkid=M", ("msclkid", "M")),
        ("bd_vid=B&gclid=G", ("gclid", "G")),
        ("gclid=%20&wbraid=W", ("wbraid", "W")),
        ("gclid=" + "x" * 513, None),
        ("clid=1", None),
    ],
)
def test_the_click_id_is_the_first_in_the_stated_order_and_unchanged(
    query: str, expected: tuple[str, str] | None
) -> None:
    found = click_id_of(query_of(f"https://a.example/?{query}"))
    assert (found and (found["kind"], found["value"])) == expected


def test_of_a_repeated_parameter_the_first_value_counts() -> None:
    assert query_of("/p?a=&a=1&a=2") == {"a": "1"}


def test_a_url_that_cannot_be_parsed_has_no_query() -> None:
    assert query_of("http://[::1/?utm_source=x") == {}


@given(st.text())
def test_any_text_may_stand_for_a_url(url: str) -> None:
    found = click_id_of(query_of(url))
    assert found is None or found["kind"] in CLICK_IDS
    campaign = campaign_of({}, query_of(url))
    assert campaign is None or any(campaign.values())
