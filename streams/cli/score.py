"""`leadstream score`: a file, scored and explained without a broker."""

import sys
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from schemas.records import Part
from streams.cli.exits import WRONG_INPUT, CommandError
from streams.cli.model_files import model_or_shipped
from streams.cli.printing import escaped, plural, print_json
from streams.cli.times import Time, shown_time
from streams.score_file import Scored, ScoredLead, score_file

_REASONS = 3
_DROPPED = (  # outcomes of records that a lead gets nothing for, beside those of crawlers and repeats
    ("late", "act", "of more than 7 days before"),
    ("flood", "act", "above what a lead is heard with in 8 days"),
    ("fenced", "answer", "of sales that a newer one has overtaken"),
    ("no_such_word", "answer", "of sales that no stage knows"),
)
_FOLDED = frozenset({"folded", "foreign_host", "bot", "duplicate", *(outcome for outcome, _, _ in _DROPPED)})
_STDIN = Path("/dev/stdin")


@click.command
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--model", "model_file", metavar="FILE", help="Scoring model. Default: the shipped one for any site.")
@click.option("--at", type=Time(), help="Score as of this time. Default: the time of the last record.")
@click.option("--top", default=20, show_default=True, help="How many leads to print; 0: all. --json prints all.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per lead, best first.")
def score(file: Path, model_file: str | None, at: int | None, top: int, as_json: bool) -> None:
    """Score a web server's access log, or JSON lines of events.

    Of Segment calls or of our own events; gzip or not; `-` is stdin.

    \b
    leadstream score access.log
    leadstream score events.jsonl.gz --model model.yaml --at 2026-03-01 --json | head -1
    ssh www.acme.example cat access.log.gz | leadstream score -
    """
    if str(file) == "-":
        file = _STDIN
    text, name = model_or_shipped(model_file, "site")
    scored = _score(file, text, at)
    _tell_problems(file, scored)
    if as_json:
        for lead, _ in scored.leads:
            print_json(lead)
        if dropped := _dropped(scored):  # stdout is for the leads
            click.echo(f"leadstream: not counted: {', '.join(dropped)}", err=True)
    else:
        _print(scored, Path(name).name, top)


def _score(file: Path, model: str, at: int | None) -> Scored:
    console = Console(stderr=True)
    try:
        with console.status(f"reading {escape(file.name)}") as status:
            return score_file(
                file, model, at, lambda lines: status.update(f"reading {escape(file.name)}: {lines:,} lines")
            )
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror or error}", code=WRONG_INPUT) from error


def _tell_problems(file: Path, scored: Scored) -> None:
    if not scored.records and not scored.problems:
        raise CommandError(f"{file} holds no record", "Give an access log, or JSON lines of events.", code=WRONG_INPUT)
    if not scored.problems:
        return
    line, problem = scored.problems[0]
    first = f"{file.name}:{line}: {problem.reason}: {escaped(problem.detail)}"
    if not scored.records:
        raise CommandError(
            f"no line of {file} could be read; the first: {first}",
            "Give a Combined Log Format access log, or JSON lines of Segment calls or of leadstream events.",
            code=WRONG_INPUT,
        )
    click.echo(f"leadstream: {len(scored.problems):,} of {scored.lines:,} lines left out; the first: {first}", err=True)


def _print(scored: Scored, model: str, top: int) -> None:
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    shown = scored.leads[: top or None]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title, justify in (("score", "right"), ("grade", "left"), ("stage", "left"), ("lead", "left")):
        table.add_column(title, justify=justify, no_wrap=True)  # type: ignore[arg-type]  # rich wants a Literal
    table.add_column("why", overflow="fold")
    for lead, receipt in shown:
        table.add_row(
            f"{lead['score']:.1f}",
            lead["grade"],
            lead["stage"],
            escape(escaped(lead["id"])),
            escape(_why(lead, receipt)),
        )
    console.print(table)
    outcomes = scored.outcomes
    acts = outcomes["folded"] + outcomes["foreign_host"]
    told_nothing = [f"{scored.silent:,} of images, errors and the like"] if scored.silent else []
    unreadable = [f"{len(scored.problems):,} left out as said above"] if scored.problems else []
    moved = sum(len(lead["transitions"]) for lead, _ in scored.leads)
    came_to = [
        f"{plural(acts, 'act')} of {plural(len(scored.leads), 'lead')}",
        f"{plural(outcomes['bot'], 'act')} of crawlers",
        plural(outcomes["duplicate"], "repeat"),
        *_dropped(scored),
        *told_nothing,
        *unreadable,
        plural(moved, "stage move"),
    ]
    console.print(
        f"\n{plural(scored.lines, 'line')}: {', '.join(came_to)}; "
        f"model {escape(model)}, as of {shown_time(scored.now)}",
        soft_wrap=True,
    )
    if scored.later:
        console.print(f"{plural(scored.later, 'later record')} left out")
    if len(shown) < len(scored.leads):
        console.print(f"{plural(len(scored.leads) - len(shown), 'more lead')}: --top 0, or --json for everything")


def _dropped(scored: Scored) -> list[str]:
    """What the fold took and scored nothing for, such as `600 acts above ...`."""
    counts = [(scored.outcomes[outcome], noun, why) for outcome, noun, why in _DROPPED]
    refused = sorted(scored.outcomes.keys() - _FOLDED)  # reasons of dead letters
    counts += [(scored.outcomes[reason], "record", f"refused as {reason}") for reason in refused]
    return [f"{plural(count, noun)} {why}" for count, noun, why in counts if count]


def _why(lead: ScoredLead, receipt: list[Part]) -> str:
    reasons = sorted((line for line in receipt if line["kind"] == "rule"), key=lambda line: -abs(line["points"]))
    words = [f"{line['name']} {line['points']:+.1f}" for line in reasons[:_REASONS]]
    cuts = sum(line["points"] for line in receipt if line["kind"] != "rule")
    if len(reasons) > _REASONS:
        words.append(f"{len(reasons) - _REASONS} more {sum(line['points'] for line in reasons[_REASONS:]):+.1f}")
    if abs(cuts) >= 0.05:
        words.append(f"caps and silence {cuts:+.1f}")
    moves = [
        f"{move['from_stage']} > {move['to_stage']} {shown_time(move['at'])} ({move['cause']})"
        for move in lead["transitions"]
    ]
    return "\n".join([", ".join(words), *moves])
