import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.model.urls import any_url_pattern, normal_place, split_url


def fits(pattern: str, url: str) -> bool:
    return any_url_pattern([pattern])(split_url(url))


PLACES = [
    ("https://www.acme.example/Pricing/", "www.acme.example/pricing"),
    ("HTTP://WWW.Acme.Example:8080/a/b//", "www.acme.example/a/b"),
    ("https://www.acme.example", "www.acme.example/"),
    ("https://www.acme.example/", "www.acme.example/"),
    ("https://www.acme.example?x=1", "www.acme.example/"),
    ("https://acme.example/a?b=/c#d", "acme.example/a"),
    ("https://acme.example/#/pricing", "acme.example/"),
    ("https://user:secret@acme.example/a", "acme.example/a"),
    ("//acme.example/a", "acme.example/a"),
    ("acme.example/a", "acme.example/a"),
    ("/pricing", "/pricing"),
    ("/", "/"),
    ("https://acme.example/%E4%BA%A7%E5%93%81/", "acme.example/产品"),
    ("https://acme.example/a%20b", "acme.example/a b"),
    ("https://acme.example/%ff", "acme.example/\ufffd"),
    ("http://[::1]:8080/a", "[::1]/a"),
    ("https://acme.example/" + "a" * 5000, "acme.example/" + "a" * (2048 - 21)),
]


@pytest.mark.parametrize(("url", "place"), PLACES)
def test_a_url_has_one_normal_form(url: str, place: str) -> None:
    assert split_url(url).place == place


TABLE = [
    ("/pricing*", "https://www.acme.example/pricing", True),
    ("/pricing*", "https://www.acme.example/pricing-faq", True),
    ("/pricing*", "https://www.acme.example/en/pricing", False),
    ("*/pricing*", "https://www.acme.example/en/pricing", True),
    ("*/pricing*", "https://www.acme.example/en/Pricing/?x=1", True),
    ("*/pricing", "https://www.acme.example/pricing#a", True),
    ("/pricing/", "https://www.acme.example/pricing", True),
    ("*/pricing/", "https://www.acme.example/pricing", True),
    ("*/pricing*", "/pricing", True),
    ("www.acme.example/product*", "https://www.acme.example/products", True),
    ("www.acme.example/product*", "https://acme.example/products", False),
    ("https://www.acme.example:443/a/", "http://www.acme.example/A", True),
    ("docs.acme.example/*", "https://docs.acme.example/", True),
    ("docs.acme.example/*", "https://docs.acme.example", True),
    ("docs.acme.example", "https://docs.acme.example/", True),
    ("docs.acme.example", "https://docs.acme.example/a", False),
    ("docs.acme.example/", "https://docs.acme.example", True),
    ("docs.*", "https://docs.acme.example/a", True),
    ("*/", "https://acme.example", True),
    ("*/", "https://acme.example/a", False),
    ("/", "https://acme.example", True),
    ("/", "https://acme.example/a", False),
    ("*/blog/*", "https://acme.example/blog/", False),
    ("*/blog/*", "https://acme.example/blog/a", True),
    ("*/a%20b", "https://acme.example/a b", True),
    ("*/产品*", "https://acme.example/%e4%ba%a7%e5%93%81", True),
    ("/search?q=*price*", "https://acme.example/search?q=best+Price", True),
    ("/search?q=*price*", "https://acme.example/search?x=1&q=a%20price", True),
    ("/search?q=*price*", "https://acme.example/search?q=", False),
    ("/search?q=*price*", "https://acme.example/search", False),
    ("/search?a=1&b=2", "https://acme.example/search?b=2&c=3&a=1", True),
    ("/search?a=1&b=2", "https://acme.example/search?b=2", False),
    ("/search?debug", "https://acme.example/search?debug", True),
    ("*?tab=prices", "https://acme.example/x/y?tab=prices", True),
    ("?tab=prices", "https://acme.example/x/y?tab=prices", True),
    ("/search", "https://acme.example/search?q=1", True),
]


@pytest.mark.parametrize(("pattern", "url", "expected"), TABLE)
def test_url_patterns_fit_as_the_table_says(pattern: str, url: str, expected: bool) -> None:
    assert fits(pattern, url) is expected


words = st.text(alphabet="abcXYZ019-._", min_size=1, max_size=8)
paths = st.lists(words, min_size=1, max_size=4).map("/".join)


@given(words, paths, st.sampled_from(["http", "HTTPS"]), st.sampled_from(["", "?a=b", "#c", "/", "/?a#c"]))
def test_scheme_case_query_fragment_and_trailing_slash_do_not_count(
    host: str, path: str, scheme: str, end: str
) -> None:
    assert split_url(f"{scheme}://{host.upper()}/{path}{end}").place == split_url(f"https://{host}/{path}").place


@given(words, paths)
def test_a_url_fits_itself_as_a_pattern(host: str, path: str) -> None:
    assert fits(f"https://{host}/{path}", f"https://{host}/{path}")


@given(words, paths)
def test_the_normal_form_of_a_pattern_is_that_of_the_url(host: str, path: str) -> None:
    assert normal_place(f"https://{host}:80/{path}/").casefold() == split_url(f"https://{host}/{path}").place


@given(st.text(), st.text())
def test_any_text_is_read_as_a_url_and_as_a_pattern_without_an_error(pattern: str, url: str) -> None:
    assert fits(pattern, url) in (True, False)
    assert split_url(url).path.startswith("/")
