"""The end of a run in words: one line per result, each saying whether it holds."""

from collections.abc import Iterator
from typing import NamedTuple

from streams.demo.report import DemoReport
from streams.demo.view import in_words
from streams.program import program

_LEFT_OUT = {"bot": "by bots", "duplicate": "repeats", "late": "too late"}


class Result(NamedTuple):
    """`holds` is None for a number that only informs."""

    holds: bool | None
    text: str


_NEXT = {
    "up": "the same parts, for pointing your own site at",
    "init": "writes a model and settings to begin with",
    "score access.log": "scores the log of a web server; needs nothing running",
}


def next_commands() -> Iterator[tuple[str, str]]:
    """(command, what it does), the commands equally wide."""
    called = program()
    width = len(f"{called} {max(_NEXT, key=len)}")
    for command, what in _NEXT.items():
        yield f"{f'{called} {command}':<{width}}", what


def results(report: DemoReport) -> Iterator[Result]:
    same = report.accepted == report.scored
    found = f"{'=' if same else 'but'} {report.scored:,} accounted for{_of(report)}"
    yield Result(same, f"{report.accepted:,} events accepted {found}")
    yield Result(report.lost == 0, f"{report.lost:,} lost")
    yield Result(report.counted_twice == 0, f"{report.counted_twice:,} counted twice")
    if report.refused:
        yield Result(False, f"{report.refused:,} refused by the collector")
    verify = report.verify
    told = "state = replay of the log" if verify.equal else f"state differs in {len(verify.differences)} places"
    yield Result(verify.equal, f"verify: {told} ({verify.leads:,} leads)")
    yield from (Result(False, f"  {difference}") for difference in verify.differences[:5])
    if report.take_over is not None:
        yield _take_over(report)
    yield Result(
        None, f"{report.leads:,} leads, {report.transitions} transitions, {report.mqls} MQLs, {report.alerts} alerts"
    )
    if report.exits:
        yield Result(None, f"{report.exits_as_announced} of {report.exits} falls came at the second that was announced")
    yield Result(None, f"request to visible score (while a worker ran): {in_words(report.request_to_score)}")
    yield Result(None, f"request to alert: {in_words(report.request_to_alert)}")
    if report.first_alert_seconds is not None:
        yield Result(None, f"first alert {report.first_alert_seconds:.1f} s after the start")


def _of(report: DemoReport) -> str:
    """What became of them."""
    left_out = [f"{count:,} {_LEFT_OUT.get(reason, reason)}" for reason, count in report.left_out.items() if count]
    scored = f": {report.scored - sum(report.left_out.values()):,} scored"
    return scored + (f"; left out: {', '.join(left_out)}" if left_out else "")


def _take_over(report: DemoReport) -> Result:
    take_over = report.take_over
    assert take_over is not None  # asked by the caller
    if take_over.caught_up_seconds is None:
        return Result(False, "the killed worker was not replaced")
    delayed = report.delayed
    waited = f"; {delayed.count} events waited for it, {in_words(delayed)}" if delayed.count else ""
    return Result(True, f"worker 2 caught up {take_over.caught_up_seconds:.1f} s after the kill{waited}")
