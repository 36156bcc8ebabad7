import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from streams.demo.report import Counts, TakeOver, scored_events
from streams.demo.summary import results
from streams.verification.report import Difference, VerifyReport
from tests.streams.demo.runs import good_report

DIFFERENCE = Difference("lead 1x", "score", "3", "4")


def test_a_good_run_has_no_problem() -> None:
    report = good_report()
    assert report.problems() == []
    assert all(result.holds is not False for result in results(report))


def test_what_is_left_out_is_accounted_for_and_not_scored() -> None:
    told = "1,000 events accepted = 1,000 accounted for: 985 scored; left out: 12 by bots, 3 repeats"
    assert next(results(good_report())).text == told


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"scored": 999}, "1,000 events were accepted and 999 accounted for"),
        ({"lost": 1}, "1 events lost"),
        ({"counted_twice": 2}, "2 events counted twice"),
        ({"refused": 3}, "3 events refused by the collector"),
        ({"verify": VerifyReport(differences=[DIFFERENCE])}, "state differs from the log in 1 places"),
        ({"take_over": TakeOver(1, 1, 2.0, None)}, "the killed worker was not replaced"),
    ],
)
def test_a_number_that_does_not_hold_is_a_problem_and_shown_failing(broken: dict[str, Any], said: str) -> None:
    report = replace(good_report(), **broken)
    assert report.problems() == [said]
    assert any(result.holds is False for result in results(report))
    assert json.loads(report.as_json())["problems"] == [said]


def test_the_json_report_is_one_line_with_the_promised_keys() -> None:
    line = good_report().as_json()
    report = json.loads(line)
    assert "\n" not in line
    assert {
        "accepted",
        "scored",
        "lost",
        "counted_twice",
        "leads",
        "transitions",
        "alerts",
        "latency_ms",
        "verify",
    } <= set(report)
    assert report["latency_ms"]["request_to_score"] == {"p50": 21, "p99": 80, "count": 900}


def test_an_acknowledged_event_that_is_not_in_the_log_is_missing() -> None:
    counts = Counts(Counter(a=2, b=1), Counter(a=1, b=1))
    assert (counts.missing, counts.unasked) == (1, 0)


def test_what_a_retry_wrote_once_more_is_not_scored_once_more() -> None:
    counts = Counts(Counter(a=1, b=1), Counter(a=2, b=1))
    verify = VerifyReport(scored=2, dropped={"duplicate": 1})
    assert (counts.missing, counts.unasked) == (0, 1)
    assert scored_events(counts, verify) == 2


def test_an_event_that_the_rows_do_not_count_is_not_scored() -> None:
    counts = Counts(Counter(a=1, b=1), Counter(a=1, b=1))
    assert scored_events(counts, VerifyReport(scored=2, lost=1)) == 1
