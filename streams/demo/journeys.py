"""How each kind of visitor behaves: a list of acts from a seeded generator of chance."""

from collections.abc import Callable
from random import Random
from typing import Final

from streams.demo import cast
from streams.demo.diary import Act, Diary
from streams.demo.pages import (
    ARTICLES,
    CAREERS,
    CONTACT_FORM,
    DEMO_FORM,
    DIRECT,
    DOCS,
    HOME,
    JOB_SEARCH,
    NEWSLETTER,
    PAID_SEARCH,
    PAPERS,
    PRICING,
    PRODUCT,
    SEARCH,
    SOCIAL,
    STORIES,
    TOUR,
    WEBINAR,
    WECHAT,
)

Journey = Callable[[Random, int], list[Act]]
"""(chance, days that the site is played) -> the acts of one visitor."""


def hurried_buyer(rng: Random, days: int) -> list[Act]:
    """Finds the site by an ad and asks for a demo within days."""
    diary, day = _begin_buying(rng, days)
    diary.come(day + rng.uniform(1, 2.5), DIRECT, PRICING, rng.choice(PRODUCT), DEMO_FORM)
    diary.identify()
    diary.track("form_submitted", form="demo request")
    _after_the_call(diary, rng, day + 3)
    return diary.acts


def thorough_buyer(rng: Random, days: int) -> list[Act]:
    """Reads, downloads, sits in a webinar, compares prices; talks to us at the end, or not."""
    diary, day = _begin_buying(rng, days)
    day += rng.uniform(1, 3)
    diary.come(day, SEARCH, rng.choice(STORIES), TOUR)
    _download(diary, rng, PAPERS[0])
    day += rng.uniform(1, 4)
    diary.come(day, NEWSLETTER, rng.choice(ARTICLES))
    diary.track("email_clicked", email_id="2026-spring-invite")
    diary.read()
    day += rng.uniform(1, 4)
    diary.come(day, NEWSLETTER, WEBINAR)
    minutes = rng.randrange(25, 61)
    diary.track(
        "webinar_attended",
        asset="One view of the customer",
        webinar_id="one-customer-view",
        webinar_title="One view of the customer",
        attended_minutes=minutes,
        length_minutes=60,
    )
    diary.come(day + rng.uniform(1, 2), DIRECT, PRICING, rng.choice(STORIES))
    _download(diary, rng, PAPERS[1])
    if rng.random() < 0.4:
        diary.come(day + 3, DIRECT, PRICING, CONTACT_FORM)
        diary.track("form_submitted", form="contact us")
    _after_the_call(diary, rng, day + 4)
    return diary.acts


def guest(rng: Random, days: int) -> list[Act]:
    """Was at our stand: the badge was scanned there, the white paper is read at home."""
    diary, day = _begin_buying(rng, days)
    day += rng.uniform(1, 3)
    diary.come(day, DIRECT, WECHAT if rng.random() < 0.5 else HOME)
    diary.identify()
    diary.track("event_attended", asset="Data Summit")
    diary.come(day + rng.uniform(0.5, 2), NEWSLETTER, rng.choice(PRODUCT))
    _download(diary, rng, PAPERS[1])
    _after_the_call(diary, rng, day + 3)
    return diary.acts


def window_shopper(rng: Random, days: int) -> list[Act]:
    """Comes back now and then and never gets warm."""
    diary, day = _begin_buying(rng, days)
    for _ in range(rng.randrange(2, 5)):
        day += rng.uniform(4, 12)
        diary.come(day, rng.choice((SEARCH, SOCIAL, DIRECT)), rng.choice(ARTICLES), rng.choice(PRODUCT))
    if rng.random() < 0.5:
        _download(diary, rng, PAPERS[2])
    return diary.acts


def student(rng: Random, days: int) -> list[Act]:
    """Reads everything and buys nothing."""
    diary = Diary(cast.student(rng), rng)
    day = rng.uniform(0, days)
    for visit in range(rng.randrange(2, 6)):
        diary.come(day, SEARCH, *rng.sample(ARTICLES, 2), *rng.sample(DOCS, 2))
        diary.read()
        if visit == 1:
            _download(diary, rng, rng.choice(PAPERS))
        day += rng.uniform(2, 9)
    return diary.acts


def job_seeker(rng: Random, days: int) -> list[Act]:
    diary = Diary(cast.job_seeker(rng), rng)
    day = rng.uniform(0, days)
    diary.come(day, JOB_SEARCH, CAREERS[0], CAREERS[1], HOME)
    diary.come(day + rng.uniform(1, 5), DIRECT, HOME, rng.choice(STORIES), CAREERS[1])
    diary.identify()
    diary.track("form_submitted", form="application")
    return diary.acts


def customer(rng: Random, days: int) -> list[Act]:
    """Works with the product and looks things up, day after day."""
    diary = Diary(cast.customer(rng), rng)
    day = rng.uniform(0, 2)
    diary.come(day, DIRECT, DOCS[0])
    diary.identify()
    while day < days:
        diary.come(day, DIRECT, *rng.sample(DOCS, rng.randrange(2, 5)))
        day += rng.expovariate(0.5)
    return diary.acts


def passer_by(rng: Random, days: int) -> list[Act]:
    diary = Diary(cast.stranger(rng), rng)
    arrival = rng.choices((SEARCH, SOCIAL, DIRECT, PAID_SEARCH), (5, 2, 2, 1))[0]
    landing = rng.choice((HOME, *ARTICLES, *ARTICLES, rng.choice(PRODUCT)))
    diary.come(rng.uniform(0, days), arrival, landing, *rng.sample(PRODUCT + ARTICLES, rng.choice((0, 0, 1, 2, 3))))
    return diary.acts


def crawler(rng: Random, days: int) -> list[Act]:
    """A search engine: it must not score, whatever it reads."""
    diary = Diary(cast.stranger(rng, cast.CRAWLER), rng)
    pages = (HOME, PRICING, *PRODUCT, *STORIES, *ARTICLES, *DOCS, *CAREERS)
    for day in range(0, days, 2):
        diary.come(day, DIRECT, *rng.sample(pages, 12))
    return diary.acts


# Visitors of each kind per simulated day; one crawler is always there.
PER_DAY: Final[tuple[tuple[Journey, float], ...]] = (
    (hurried_buyer, 0.25),
    (thorough_buyer, 0.35),
    (guest, 0.18),
    (window_shopper, 0.50),
    (student, 0.80),
    (job_seeker, 0.80),
    (passer_by, 45.0),
    (customer, 0.65),
)


def _begin_buying(rng: Random, days: int) -> tuple[Diary, float]:
    """The first visit, and its day. Some buyers are early, so that there is something to see at once."""
    diary = Diary(cast.buyer(rng), rng)
    day = rng.triangular(0, 0.8 * days, 0.1 * days)
    arrival = rng.choices((PAID_SEARCH, SEARCH, SOCIAL), (3, 1, 1))[0]
    diary.come(day, arrival, rng.choice(PRODUCT), TOUR, rng.choice(ARTICLES))
    return diary, day


def _download(diary: Diary, rng: Random, paper: str) -> None:
    """The form in front of the paper makes the visitor known."""
    diary.identify()
    diary.track("download", file=paper, pages=rng.randrange(8, 40))


def _after_the_call(diary: Diary, rng: Random, day: float) -> None:
    """Half go quiet and cool down; the others look again, some of them weeks later."""
    if rng.random() < 0.5:
        return
    for _ in range(rng.randrange(1, 4)):
        day += rng.uniform(2, 14)
        diary.come(day, DIRECT, PRICING, rng.choice(DOCS), rng.choice(STORIES))
