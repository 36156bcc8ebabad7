import pytest

from processors.match_rules import Matcher
from processors.model import event_from_fields, read_model
from processors.models import SHIPPED_MODELS, load_shipped

SITE = Matcher(read_model(load_shipped("site")))


def test_an_unknown_model_is_named_with_those_there_are() -> None:
    with pytest.raises(KeyError, match="there are minimal, reference, site"):
        load_shipped("nope")


@pytest.mark.parametrize("name", SHIPPED_MODELS)
def test_each_shipped_model_has_rules(name: str) -> None:
    assert read_model(load_shipped(name)).rules


def rules(**fields: str) -> set[str]:
    event = event_from_fields({"event": "page_view", **fields}, 0)
    return {hit.rule.id for hit in SITE.match(event, 0).hits}


PAGES = [
    ("https://acme.example/", {"page", "day-on-site"}),
    ("/blog/geekery/ssl-latency.html", {"article", "day-on-site"}),
    ("/blog/tags/puppet", {"list-of-articles", "day-on-site"}),
    ("/blog/tags/puppet?flav=rss20", {"feed"}),
    ("/blog/feed/", {"feed"}),
    ("/en/pricing", {"page", "day-on-site", "pricing"}),
    ("/de/preise/", {"page", "day-on-site", "pricing"}),
    ("/%E4%BB%B7%E6%A0%BC", {"page", "day-on-site", "pricing"}),
    ("/kontakt", {"page", "day-on-site", "contact"}),
    ("https://docs.acme.example/a", {"page", "day-on-site", "documentation"}),
    ("/careers/dev", {"page", "day-on-site", "careers"}),
    ("/feedback", {"page", "day-on-site"}),
    ("/wp-login.php", {"administration", "day-on-site"}),
]


@pytest.mark.parametrize(("url", "expected"), PAGES)
def test_a_page_of_any_site_fits_the_rules_of_its_kind(url: str, expected: set[str]) -> None:
    assert rules(url=url) == expected


def test_of_the_ways_to_arrive_only_the_strongest_fits() -> None:
    assert "search-visit" in rules(url="/", referrer="https://www.google.co.uk/search?q=x")
    found = rules(url="/", referrer="https://www.google.com/", click_id="gclid")
    assert found == {"page", "day-on-site", "campaign-visit"}
