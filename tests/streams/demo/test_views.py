import io
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import cast

import pytest
from rich.console import Console

from schemas.records import StageTransition
from streams.demo.latency import Quantiles
from streams.demo.live_view import LiveView
from streams.demo.plain_view import PlainView
from streams.demo.report import TakeOver
from streams.demo.run import START_MS
from streams.demo.view import Moment, View
from tests.streams.demo.runs import good_report

MOMENT = Moment(
    now_ms=START_MS + 5 * 86_400_000,
    day=5,
    days=60,
    accepted=1_234,
    per_second=201.4,
    waiting=7,
    to_score=Quantiles(21, 80, 900),
    to_alert=Quantiles(None, None, 0),
    stages=Counter(visitor=100, lead=9, mql=1),
)
UP = cast("StageTransition", {"at": START_MS, "direction": "up"})
LINES = ("Ada Moss, CTO at Kestrel Pumps, sent the form · new MQL, A2", "Why now: [bold]asked[/bold] +50")
TAKE_OVER = TakeOver(150, 4, 6.5, 7.1)


def _tell_everything(view: View) -> None:
    view.waiting_for("broker and store start")
    view.step("broker ready", 0.4)
    view.opened("http://127.0.0.1:8080")
    view.moment(MOMENT)
    view.alert(LINES, UP)
    view.killed(TAKE_OVER)
    view.taken_over(TAKE_OVER)
    view.caught_up(TAKE_OVER)
    view.moment(replace(MOMENT, day=6))
    view.summary(good_report(), 60)


def _plain() -> str:
    out = io.StringIO()
    _tell_everything(PlainView("0.1", out))
    return out.getvalue()


def _live(width: int = 110) -> str:
    out = io.StringIO()
    with LiveView("0.1", Console(file=out, force_terminal=True, width=width, height=24, color_system=None)) as view:
        _tell_everything(view)
    return out.getvalue()


@pytest.mark.parametrize("shown", [_plain, _live])
@pytest.mark.parametrize(
    "line",
    [
        "leadstream 0.1 demo: embedded broker and store, in memory, on 127.0.0.1. Nothing leaves this machine.",
        "http://127.0.0.1:8080  Ctrl+C stops and deletes everything",
        "Ada Moss, CTO at Kestrel Pumps, sent the form · new MQL, A2",
        "Why now: [bold]asked[/bold] +50",
        "killing worker 1 (kill -9) with 150 events in flight",
        "worker 2 took over after 6.5 s",
        "1,000 events accepted = 1,000 accounted for: 985 scored",
        "verify: state = replay of the log (200 leads)",
        "leadstream score access.log",
    ],
)
def test_both_views_tell(shown: Callable[[], str], line: str) -> None:
    assert line in shown()


def test_off_a_terminal_nothing_is_coloured_or_redrawn() -> None:
    assert "\x1b" not in _plain()
    assert "\r" not in _plain()


def test_off_a_terminal_a_line_comes_every_few_days_only() -> None:
    assert _plain().count("1,234 events") == 1


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_live_view_keeps_within_the_terminal(width: int) -> None:
    import re

    for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "\r", _live(width)).replace("\r", "\n").splitlines():
        assert len(line) <= width or line.startswith("leadstream")


def test_a_failing_number_is_marked() -> None:
    out = io.StringIO()
    PlainView("0.1", out).summary(replace(good_report(), lost=3), 60)
    assert "FAIL 3 lost" in out.getvalue()
