"""Off a terminal: plain lines, in the order of what happened."""

import sys
from collections.abc import Sequence
from typing import TextIO

from schemas.records import StageTransition
from streams.demo.report import DemoReport, TakeOver
from streams.demo.summary import next_commands, results
from streams.demo.view import STAGES, Moment, caught_up_line, happened, header, in_words, killed_line, taken_over_line

DAYS_PER_LINE = 5


class PlainView:
    """Writes to `out`, stdout if none is given."""

    def __init__(self, version: str, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._told_day = 0
        self._say(header(version))

    def step(self, text: str, seconds: float) -> None:
        self._say(f"  {seconds:5.1f} s  {text}")

    def waiting_for(self, text: str) -> None:
        self._say(f"           {text} ...")

    def opened(self, url: str) -> None:
        self._say(f"{url}  Ctrl+C stops and deletes everything")

    def moment(self, moment: Moment) -> None:
        if moment.day < self._told_day + DAYS_PER_LINE:
            return
        self._told_day = moment.day - moment.day % DAYS_PER_LINE
        stages = ", ".join(f"{stage} {moment.stages[stage]}" for stage in STAGES)
        self._say(
            f"{moment.date}, day {moment.day} of {moment.days}: {moment.accepted:,} events, "
            f"{moment.per_second:.0f}/s, {moment.waiting} waiting, to score {in_words(moment.to_score)}; {stages}"
        )

    def alert(self, lines: Sequence[str], transition: StageTransition) -> None:
        self._say(f"alert {happened(transition)}: {lines[0]}")
        for line in lines[1:]:
            self._say(f"    {line}")

    def killed(self, take_over: TakeOver) -> None:
        self._say(killed_line(take_over))

    def taken_over(self, take_over: TakeOver) -> None:
        self._say(taken_over_line(take_over))

    def caught_up(self, take_over: TakeOver) -> None:
        self._say(caught_up_line(take_over))

    def summary(self, report: DemoReport, days: int) -> None:
        self._say(f"{days} days in one run:")
        for result in results(report):
            mark = {True: "ok  ", False: "FAIL", None: "    "}[result.holds]
            self._say(f"  {mark} {result.text}")
        self._say("Next:")
        for command, what in next_commands():
            self._say(f"  {command}  {what}")

    def _say(self, line: str) -> None:
        print(line, file=self._out, flush=True)
