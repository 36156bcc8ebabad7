"""`leadstream verify`."""

import sys
from dataclasses import asdict

import click

from processors.fold_partition import OldFoldError
from schemas.keys import ANONYMOUS, USER, lead_key
from streams.cli.exits import FINDING, REFUSED, CommandError
from streams.cli.printing import escaped, plural, print_json
from streams.cli.services import brokers_of, partition_count, run, settings_of
from streams.config import Settings, topics_of
from streams.verify import CannotVerifyError
from streams.verify import verify as verify_state
from streams.verify_report import VerifyReport

_SHOWN = 50


@click.command()
@click.option("--lead", metavar="ID", help="Only this lead: a lead key, anonymous id, user id or e-mail.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_context
def verify(context: click.Context, lead: str | None, as_json: bool) -> int:
    """Prove that the state is what the log says.

    Folds the events log again from its first record, and compares the rows, transitions and dead letters that come out
    with those that the worker wrote. Changes nothing; the worker may run meanwhile.

    \b
    leadstream verify
    leadstream verify --lead c_81f2

    Exit code 1: something differs, and what differs is printed.
    """
    settings = settings_of(context)
    keys = None if lead is None else _keys(lead, settings)
    try:
        report = run(_verify(settings, keys, quiet=as_json), settings)
    except CannotVerifyError as error:
        raise CommandError(
            str(error), "keep events for longer: retention.ms of the events topic", code=FINDING
        ) from error
    except OldFoldError as error:
        raise CommandError(str(error), code=REFUSED) from error
    if keys is not None and not (report.leads or report.accepted):
        raise CommandError(
            f"no lead {escaped(lead or '')!r} in the log or the rows",
            "give a lead key, an anonymous id, a user id or an e-mail; `leadstream lead list` shows the leads",
            code=FINDING,
        )
    if as_json:
        print_json({**asdict(report), "equal": report.equal})
    else:
        _print(report)
    return 0 if report.equal else FINDING


async def _verify(settings: Settings, keys: list[bytes] | None, *, quiet: bool) -> VerifyReport:
    brokers = brokers_of(settings)
    partitions = await partition_count(settings)
    shows = sys.stderr.isatty() and not quiet

    def progress(done: int, total: int) -> None:
        if shows:
            click.echo(f"\r{done:,} of {total:,} records", err=True, nl=done == total)

    return await verify_state(brokers, topics_of(settings), partitions, leads=keys, on_progress=progress)


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
    if report.unfolded:
        click.echo(f"{plural(report.unfolded, 'record')} behind these ends are not folded yet")
    if report.expired_letters:
        click.echo(f"{plural(report.expired_letters, 'dead letter')} not compared: retention has taken them")


def summary(report: VerifyReport) -> str:
    """One line: `log 20,431 records to 12 partition ends; state of 1,204 leads equal, ...`."""
    leads = f"state of {plural(report.leads, 'lead')} equal"
    if report.unequal_leads:
        leads = f"state of {report.unequal_leads:,} of {plural(report.leads, 'lead')} differs"
    transitions = f"{plural(report.transitions, 'transition')} equal"
    if report.unequal_transitions:
        transitions = f"{report.unequal_transitions:,} of {plural(report.transitions, 'transition')} differ"
    return (
        f"log {plural(report.records, 'record')} to {plural(report.partitions, 'partition end')}; {leads}, "
        f"{transitions}, {report.missing:,} missing, {report.extra:,} extra; {report.scored:,} of "
        f"{plural(report.accepted, 'event')} count, {sum(report.dropped.values()):,} left out as the rules say, "
        f"{plural(report.dead_letters, 'dead letter')} of the worker, {report.lost:,} lost, {report.counted_twice:,} counted twice"
    )
