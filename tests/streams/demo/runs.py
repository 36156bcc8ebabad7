"""A report of a good run, for tests to break."""

from streams.demo.latency import Quantiles
from streams.demo.report import DemoReport, TakeOver
from streams.verification.report import VerifyReport


def good_report() -> DemoReport:
    return DemoReport(
        accepted=1_000,
        scored=1_000,
        left_out={"bot": 12, "duplicate": 3},
        lost=0,
        counted_twice=0,
        refused=0,
        leads=200,
        transitions=20,
        mqls=4,
        exits=2,
        exits_as_announced=2,
        alerts=6,
        request_to_score=Quantiles(21, 80, 900),
        request_to_alert=Quantiles(40, 90, 6),
        delayed=Quantiles(2_000, 4_000, 100),
        first_alert_seconds=13.2,
        take_over=TakeOver(in_flight=150, unscored=4, ready_seconds=6.5, caught_up_seconds=7.1),
        verify=VerifyReport(leads=200, accepted=1_000, scored=985),
    )
