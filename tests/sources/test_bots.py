import pytest

from sources.bots import is_bot, visitors_agent

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        (CHROME, False),
        (GOOGLEBOT, True),
        (CHROME.replace("Chrome", "HeadlessChrome"), True),
        (None, False),
        ("", False),
    ],
)
def test_crawlers_are_known_by_their_user_agent(agent: str | None, expected: bool) -> None:
    assert is_bot(agent) is expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [(CHROME, CHROME), (GOOGLEBOT, GOOGLEBOT), ("curl/8.5", None), ("python-requests/2.34", None), (None, None)],
)
def test_the_agent_of_an_http_library_says_nothing_about_the_visitor(header: str | None, expected: str | None) -> None:
    assert visitors_agent(header) == expected
