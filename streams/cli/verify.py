"""`leadstream verify`."""

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from processors.model_log import OldFoldError
from schemas.keys import ANONYMOUS, USER, lead_key
from schemas.metrics import OF_VERIFY
from streams.cli.exits import FINDING, REFUSED, WRONG_INPUT, CommandError
from streams.cli.printing import escaped, plural, print_json
from streams.cli.services import brokers_of, partition_count, run, settings_of
from streams.cli.times import Time, shown_time
from streams.clock import SystemClock
from streams.metrics import PrometheusMetrics
from streams.settings.config import Settings, topics_of
from streams.verification.bases import BaseError, Bases
from streams.verification.onwards import NothingToFoldFromError, Onwards
from streams.verification.report import VerifyReport
from streams.verification.verify import CannotVerifyError, DamagedRowsError, LogCutError, Progress
from streams.verification.verify import verify as verify_state

_SHOWN = 50
_now_ms = SystemClock().now_ms


@click.command()
@click.option("--lead", metavar="ID", help="Only this lead: a lead key, anonymous id, user id or e-mail.")
@click.option(
    "--bases",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Begin at the newest base in DIR, and leave the next one there.",
)
@click.option("--since", type=Time(), help="Begin at the newest base in DIR that is as old as TIME.")
@click.option(
    "--textfile",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the result as metrics, for the textfile collector of Prometheus' node exporter.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_context
def verify(
    context: click.Context,
    *,
    lead: str | None,
    directory: Path | None,
    since: int | None,
    textfile: Path | None,
    as_json: bool,
) -> int:
    """Prove that the state is what the log says.

    Folds the events log again from its first record, and compares the rows, transitions and dead letters that come out
    with those that the worker wrote. Changes nothing; the worker may run meanwhile.

    With --bases it begins where the last run ended that found all equal: a base holds what the rows were then. So it can
    run each night. With --lead no base is left.

    \b
    leadstream verify
    leadstream verify --lead c_81f2
    leadstream verify --bases bases --textfile verify.prom
    leadstream verify --bases bases --since 2026-03-02

    Exit code 1: something differs, and what differs is printed.
    """
    if since is not None and directory is None:
        raise click.UsageError("--since says which base to begin at: give --bases, too")
    began_ms = _now_ms()
    try:
        report = _report(settings_of(context), lead, directory, since, with_bar=not as_json)
    except BaseException:  # a run that was stopped, too: else the file would go on saying what the run before it found
        if textfile is not None:
            with suppress(CommandError):  # that of the run counts
                _write_metrics(None, textfile, began_ms)
        raise
    if textfile is not None:
        _write_metrics(report, textfile, began_ms)
    if since is not None and report.base_at_ms is None:
        click.echo(f"no base is as old as {shown_time(since)}: the log was folded from its first record", err=True)
    if as_json:
        print_json({**asdict(report), "equal": report.equal})
    else:
        _print(report)
    return 0 if report.equal else FINDING


def _report(
    settings: Settings, lead: str | None, directory: Path | None, since: int | None, *, with_bar: bool
) -> VerifyReport:
    keys = None if lead is None else _keys(lead, settings)
    with _explaining(since), _bar(shown=with_bar) as on_progress:
        report = run(_verify(settings, keys, directory, since, on_progress), settings)
    if keys is not None and not (report.leads or report.accepted):
        raise CommandError(
            f"no lead {escaped(lead or '')!r} in the log or the rows",
            "give a lead key, an anonymous id, a user id or an e-mail; `leadstream lead list` shows the leads",
            code=FINDING,
        )
    return report


async def _verify(
    settings: Settings, keys: list[bytes] | None, directory: Path | None, since: int | None, on_progress: Progress
) -> VerifyReport:
    _end_on_sigterm()
    brokers, topics = brokers_of(settings), topics_of(settings)
    partitions = await partition_count(settings)
    bases = None if directory is None else Bases(directory, topics.events, partitions)
    if bases is None or keys is not None:
        base = None if bases is None else bases.newest(since)
        return await verify_state(brokers, topics, partitions, leads=keys, base=base, on_progress=on_progress)
    return await Onwards(brokers, topics, partitions, bases).verify(since, _now_ms(), on_progress)


def _end_on_sigterm() -> None:
    """As on Ctrl-C: what is begun is undone. cron and systemd send it."""
    running = asyncio.current_task()
    if running is not None and threading.current_thread() is threading.main_thread():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)


@contextmanager
def _explaining(since: int | None) -> Iterator[None]:
    """Turns what keeps it from verifying into what to do."""
    try:
        yield
    except NothingToFoldFromError as error:
        raise CommandError(str(error), code=FINDING) from error
    except LogCutError as error:
        fix = "keep events for longer (retention.ms of the events topic), or run it more often, with --bases DIR"
        raise CommandError(str(error), fix if since is None else "give a later --since", code=FINDING) from error
    except DamagedRowsError as error:
        fix = "restore them from a backup of the rows topic: docs/runbook.md, A row that cannot be read"
        raise CommandError(str(error), fix, code=FINDING) from error
    except CannotVerifyError as error:
        raise CommandError(str(error), "begin with an empty directory of bases", code=FINDING) from error
    except BaseError as error:
        raise CommandError(str(error), code=WRONG_INPUT) from error
    except OldFoldError as error:
        raise CommandError(str(error), code=REFUSED) from error
    except asyncio.CancelledError as error:
        raise click.Abort from error


@contextmanager
def _bar(*, shown: bool) -> Iterator[Progress]:
    """A bar on the error output, if that is a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("verify"), BarColumn(), MofNCompleteColumn(), TextColumn("records"), TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True, disable=not (shown and console.is_terminal)) as bar:
        task = bar.add_task("verify", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _write_metrics(report: VerifyReport | None, path: Path, began_ms: int) -> None:
    """None: it could not verify. What is not known is 0."""
    metrics = PrometheusMetrics(OF_VERIFY)
    metrics.set("leadstream_verify_end_timestamp_seconds", _now_ms() / 1000)
    if report is not None:
        metrics.set("leadstream_verify_equal", report.equal)
        metrics.set("leadstream_verify_duration_seconds", (_now_ms() - began_ms) / 1000)
        metrics.set("leadstream_verify_records", report.records)
        metrics.set("leadstream_verify_differences", len(report.differences))
        metrics.set("leadstream_verify_lost_events", report.lost)
        metrics.set("leadstream_verify_counted_twice_events", report.counted_twice)
    try:
        metrics.write(path)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}", "name another --textfile", code=WRONG_INPUT) from error


def _keys(text: str, settings: Settings) -> list[bytes]:
    """Every key that the lead may have."""
    keys = [text.encode(), (ANONYMOUS + text).encode(), (USER + text).encode()]
    by_email = lead_key(None, None, text, settings.collector.key_secret.encode())
    return [*keys, by_email] if by_email is not None else keys


def _print(report: VerifyReport) -> None:
    for difference in report.differences[:_SHOWN]:
        click.echo(escaped(str(difference)))
    if len(report.differences) > _SHOWN:
        click.echo(f"... and {len(report.differences) - _SHOWN:,} more; all of them: --json")
    click.echo(summary(report))
    if report.trusted_at_ms is not None:
        click.echo(f"what the rows held on {shown_time(report.trusted_at_ms)} was taken on trust")
    if report.base_left is not None:
        click.echo(f"left a base for the next run: {escaped(report.base_left)}")
    if report.unfolded:
        click.echo(f"{plural(report.unfolded, 'record')} behind these ends are not folded yet")
    if report.expired_letters:
        click.echo(
            f"{plural(report.expired_letters, 'dead letter')} not compared: so old that retention has taken them"
        )


def summary(report: VerifyReport) -> str:
    """One line: `log 20,431 records to 12 partition ends; state of 1,204 leads equal, ...`."""
    since = "" if report.base_at_ms is None else f"from the base of {shown_time(report.base_at_ms)} "
    leads = f"state of {plural(report.leads, 'lead')} equal"
    if report.unequal_leads:
        leads = f"state of {report.unequal_leads:,} of {plural(report.leads, 'lead')} differs"
    transitions = f"{plural(report.transitions, 'transition')} equal"
    if report.unequal_transitions:
        transitions = f"{report.unequal_transitions:,} of {plural(report.transitions, 'transition')} differ"
    return (
        f"log {plural(report.records, 'record')} {since}to {plural(report.partitions, 'partition end')}; {leads}, "
        f"{transitions}, {report.missing:,} missing, {report.extra:,} extra; {report.scored:,} of "
        f"{plural(report.accepted, 'event')} count, {sum(report.dropped.values()):,} left out as the rules say, "
        f"{plural(report.dead_letters, 'dead letter')} of the worker, {report.lost:,} lost, {report.counted_twice:,} counted twice"
    )
