"""On a terminal: alerts scroll by as they come, and below them a panel tells how the run stands."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from schemas.records import StageTransition
from streams.demo.report import DemoReport, TakeOver
from streams.demo.summary import next_commands, results
from streams.demo.view import STAGES, Moment, caught_up_line, happened, header, in_words, killed_line, taken_over_line

_BAR_CELLS = 40
_STAGE_COLOURS = {"visitor": "bright_black", "lead": "cyan", "recycled": "yellow", "mql": "green"}
_STAGE_NAMES = {"mql": "MQL"}


class LiveView:
    """To be entered as a context: leaving it gives the terminal back, however that comes about."""

    def __init__(self, version: str, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._spinner: Spinner | None = None
        self._url = ""
        self._worker = Text("worker 1 runs", style="green")
        self._live = Live(console=self._console, refresh_per_second=8, transient=True)
        self._console.print(Text(header(version), style="bold"), soft_wrap=True)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def step(self, text: str, seconds: float) -> None:
        self._print(Text.assemble(("  ✓ ", "green"), f"{text} ", (f"{seconds:.1f} s", "bright_black")))

    def waiting_for(self, text: str) -> None:
        self._spinner = Spinner("dots", Text(f"{text} ..."), style="cyan")
        self._live.update(self._spinner)

    def opened(self, url: str) -> None:
        self._url = url

    def moment(self, moment: Moment) -> None:
        self._live.update(self._panel(moment), refresh=True)

    def alert(self, lines: Sequence[str], transition: StageTransition) -> None:
        down = transition["direction"] == "down"
        sign, headline, rest = ("↓", "yellow", "bright_black") if down else ("↑", "bold", "")
        grid = Table.grid(padding=(0, 1))
        grid.add_row(
            Text(f"{happened(transition)} {sign}", style="yellow" if down else "green"), Text(lines[0], style=headline)
        )
        for line in lines[1:]:
            grid.add_row("", Text(line, style=rest if line.startswith("Why") else "bright_black"))
        self._print(grid)

    def killed(self, take_over: TakeOver) -> None:
        self._worker = Text("worker 1 killed, worker 2 starts", style="bold red")
        self._print(Text(killed_line(take_over), style="bold red"))

    def taken_over(self, take_over: TakeOver) -> None:
        self._worker = Text("worker 2 catches up", style="yellow")
        self._print(Text(taken_over_line(take_over), style="bold green"))

    def caught_up(self, take_over: TakeOver) -> None:
        style = "red" if take_over.caught_up_seconds is None else "green"
        self._worker = Text("worker 2 runs", style=style)
        self._print(Text(caught_up_line(take_over), style=f"bold {style}"))

    def summary(self, report: DemoReport, days: int) -> None:
        self._live.update(Text(""))
        self._print(Rule(f"{days} days in one run", style="bright_black"))
        for result in results(report):
            mark, style = {True: ("✓", "green"), False: ("✗", "bold red"), None: ("·", "bright_black")}[result.holds]
            self._print(
                Text.assemble((f"  {mark} ", style), (result.text, "bold red" if result.holds is False else ""))
            )
        self._print(Text("Next:"))
        for command, what in next_commands():
            self._print(Text.assemble("  ", (command, "cyan"), f"  {what}"))

    def _print(self, line: RenderableType) -> None:
        self._console.print(line, soft_wrap=False)

    def _panel(self, moment: Moment) -> RenderableType:
        bar = ProgressBar(moment.days, moment.day, width=_BAR_CELLS)
        date = Table.grid(padding=(0, 2))
        date.add_row(Text(f"{moment.date:<17}", style="bold"), bar, f"day {moment.day} of {moment.days}")
        return Group(
            Rule(style="bright_black"),
            Text.assemble((self._url, "bold cyan"), "  Ctrl+C stops and deletes everything"),
            date,
            Text.assemble(
                (f"{moment.accepted:,}", "bold"),
                " events, ",
                (f"{moment.per_second:.0f}", "bold"),
                "/s, ",
                (f"{moment.waiting:,}", "bold"),
                " waiting for a score; ",
                self._worker,
            ),
            Text(f"request to score {in_words(moment.to_score)}; to alert {in_words(moment.to_alert)}"),
            _stages(moment),
        )


def _stages(moment: Moment) -> RenderableType:
    """Bars by the square root, so that few MQLs can be seen beside thousands of visitors; the numbers stand beside."""
    most = max([moment.stages[stage] for stage in STAGES] + [1])
    grid = Table.grid(padding=(0, 1))
    for stage in STAGES:
        count = moment.stages[stage]
        cells = round(_BAR_CELLS * (count / most) ** 0.5)
        grid.add_row(
            f"  {_STAGE_NAMES.get(stage, stage):<8}",
            Text(f"{count:>6,}", style="bold"),
            Text("█" * cells, style=_STAGE_COLOURS[stage]),
        )
    return grid
