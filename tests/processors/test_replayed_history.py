"""Sixty days of four leads, written down, folded as a worker would with a tick each hour, and without any tick."""

from math import log2

import pytest

from processors.fold_partition import PartitionFold
from processors.models import load_shipped
from schemas.codec import encode
from schemas.records import StageTransition
from tests.processors.history import History

MODEL = load_shipped("minimal")
SITE = "https://www.acme.example"
DAYS = 62

# day, lead, what happened. Points: pricing 15, webinar 30, demo 60, download 10, story 5, mail 3, careers -10.
LOG = """
 0.00  ada   identify business title=CTO
 0.10  ada   page_view /pricing
 0.20  ada   page_view /pricing
 0.30  bob   page_view /careers/dev
 1.00  ada   page_view /customers/bank
 1.00  bob   download paper-1
 2.00  ada   webinar 45
 2.50  eve   form demo-emea
 3.00  cid   identify business title=buyer
 3.00  cid   form demo-emea
 3.10  cid   feedback accepted
 4.00  ada   webinar 30
 4.00  dan   identify disposable
 4.10  dan   form demo-apac
 5.00  cid   feedback qualified
 6.00  ada   email_clicked
 9.00  cid   feedback lost
10.00  cid   page_view /pricing
12.00  cid   webinar 30
15.00  bob   identify business
17.00  cid   email_clicked
20.00  eve   identify free
34.00  bob   form demo-emea
36.50  ada   page_view /pricing
37.00  ada   form demo-emea
50.00  cid   feedback won
55.00  bob   page_view /careers/dev
56.00  bob   feedback wrong_time
"""

# What ada has at day 6: the later of two price views of a day, a story, two webinars, a mail.
ADA_AT_6 = 15 * 2 ** (-5.8 / 30) + 5 * 2 ** (-5 / 30) + 30 * 2 ** (-4 / 30) + 30 * 2 ** (-2 / 30) + 3
BOB_AT_34 = 60 + 10 * 2 ** (-33 / 30) - 10 * 2 ** (-33.7 / 30)

# lead, from, to, cause, day, score at that instant, who is told
EXPECTED = [
    ("ada", "visitor", "lead", "act", 0.0, 0.0, None),
    ("cid", "visitor", "lead", "act", 3.0, 0.0, None),
    ("cid", "lead", "mql", "act", 3.0, 60.0, "enters mql"),
    ("cid", "mql", "sal", "feedback", 3.1, 59.862, None),
    ("ada", "lead", "mql", "act", 4.0, 77.050, "enters mql"),
    ("dan", "visitor", "lead", "act", 4.0, 0.0, None),  # a disposable address: 60 points, and no mql
    ("cid", "sal", "sql", "feedback", 5.0, 57.290, None),
    ("cid", "sql", "recycled", "feedback", 9.0, 52.233, None),
    ("bob", "visitor", "lead", "act", 15.0, 0.116, None),
    ("cid", "recycled", "mql", "act", 17.0, 85.905, "enters mql"),  # 60 at day 10, but the cooldown ends at 16
    ("eve", "visitor", "lead", "act", 20.0, 40.045, None),  # 60 points while nobody knew her
    ("bob", "lead", "mql", "act", 34.0, BOB_AT_34, "enters mql"),
    (
        "ada",
        "mql",
        "recycled",
        "decay",
        6 + 30 * log2(ADA_AT_6 / 40),
        40.0,
        None,
    ),  # 37: over 60 again, but cooling down
    ("cid", "mql", "recycled", "inactivity", 47.0, 12.953, None),  # 30 days after the mail: 42.953 - 30
    ("cid", "recycled", "customer", "feedback", 50.0, 10.076, None),
    ("bob", "mql", "recycled", "decay", 34 + 30 * log2(BOB_AT_34 / 40), 40.0, None),
]


def play(*, hourly: bool) -> History:
    history = History(MODEL)
    hours = iter(range(24 * DAYS))
    hour = next(hours)
    for line in LOG.strip().splitlines():
        day, lead, what, *rest = line.split()
        while hourly and hour / 24 < float(day):
            history.tick(hour / 24)
            hour = next(hours)
        tell(history, float(day), b"1" + lead.encode(), what, rest)
    for late in (hour, *hours) if hourly else ():
        history.tick(late / 24)
    history.tick(DAYS)
    return history


def tell(history: History, day: float, key: bytes, what: str, rest: list[str]) -> None:
    match what:
        case "feedback":
            answer = {"word": rest[0], "system": "crm", "object": "o", "version": len(history.log), "silent": False, "user": None,
                      "reason": None}  # fmt: skip
            history.record(day, key, encode("Feedback", answer))
        case "identify":
            traits = dict(pair.split("=") for pair in rest[1:])
            tracked = history.event(day, {"event": "identify", **{f"traits.{name}": v for name, v in traits.items()}})
            tracked["email_kind"] = rest[0]
            history.record(day, key, encode("TrackedEvent", tracked))
        case "page_view":
            history.act(day, key=key, url=SITE + rest[0])
        case "webinar":
            history.act(day, key=key, event="webinar_attended", fields={"webinar.attended_minutes": float(rest[0])})
        case "form":
            history.act(day, key=key, event="form_submitted", asset=rest[0])
        case "download":
            history.act(day, key=key, event="download", asset=rest[0])
        case _:
            history.act(day, key=key, event=what)


def told(history: History) -> list[StageTransition]:
    return sorted(history.transitions, key=lambda each: (each["at"], each["lead_key"], each["seq"]))


@pytest.mark.parametrize("hourly", [True, False])
def test_sixty_days_give_the_written_transitions(hourly: bool) -> None:
    history = play(hourly=hourly)
    found = told(history)
    moves = [(t["lead_key"][1:], t["from_stage"], t["to_stage"], t["cause"]) for t in found]
    assert moves == [each[:4] for each in EXPECTED]
    for each, (*_, day, score, route) in zip(found, EXPECTED, strict=True):
        assert each["at"] == pytest.approx(history.at(day), abs=1000)
        assert each["score"] == pytest.approx(score, abs=0.001)
        assert (each["alert"] and each["alert"]["route"]) == route
    assert history.fold.outcomes["fold_error"] == 0


def test_each_tick_tells_of_the_falls_of_its_hour_only() -> None:
    history = play(hourly=True)
    late = [t["logged_at"] - t["at"] for t in told(history) if t["cause"] in {"decay", "inactivity"}]
    assert all(0 <= each <= 3_600_000 for each in late)


def test_a_worker_that_starts_from_any_checkpoint_tells_the_same() -> None:
    live = play(hourly=True)
    told_live = [s for s in live.sent if s.kind == "StageTransition"]
    for cut in range(2, len(live.log), 211):
        first = PartitionFold("events", 0, 1)
        first.fold(live.log[:cut])
        second = PartitionFold("events", 0, 1)
        for key, value in first.take_checkpoint(cut):
            second.restore(key, value)
        second.restored()
        sent = [s for s in second.fold(live.log[cut:]) if s.kind == "StageTransition"]
        assert sent == told_live[len(told_live) - len(sent) :]
        assert {k: second.rows.packed(k) for k in second.rows.all_keys()} == {
            k: live.fold.rows.packed(k) for k in live.fold.rows.all_keys()
        }
