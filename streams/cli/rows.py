"""`leadstream rows mend`."""

from dataclasses import asdict

import click

from processors.model_log import OldFoldError
from streams.cli.exits import FINDING, REFUSED, CommandError
from streams.cli.printing import escaped, print_json
from streams.cli.services import brokers_of, partition_count, run, settings_of
from streams.cli.words import Group
from streams.repair.mend_rows import CannotMendError, MendedRow, mend_rows
from streams.settings.config import Settings, topics_of


@click.group(cls=Group)
def rows() -> None:
    """The state of the leads, as the changelog holds it.

    \b
    leadstream rows mend
    """


@rows.command()
@click.option("--dry-run", is_flag=True, help="Say what would be done.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
@click.pass_context
def mend(context: click.Context, dry_run: bool, as_json: bool) -> None:
    """Make rows that cannot be read anew from the log.

    For a worker that ends with `... cannot be read`. Folds the log of these leads again and writes their rows behind the
    damaged records; a key that the log does not know is deleted. May be repeated.

    \b
    leadstream rows mend --dry-run
    leadstream rows mend
    leadstream verify

    Exit code 1: the log does not reach back far enough, or the record is the partition's own, or ahead of it.
    """
    settings = settings_of(context)
    try:
        mended = run(_mend(settings, dry_run=dry_run), settings)
    except CannotMendError as error:
        raise CommandError(str(error), code=FINDING) from error
    except OldFoldError as error:
        raise CommandError(str(error), code=REFUSED) from error
    if as_json:
        print_json({"mended": [asdict(each) for each in mended], "dry_run": dry_run})
        return
    for each in mended:
        click.echo(escaped(_line(each, "would write" if dry_run else "wrote")))
    if not mended:
        click.echo("every row can be read; nothing to do")


async def _mend(settings: Settings, *, dry_run: bool) -> list[MendedRow]:
    partitions = await partition_count(settings)
    return await mend_rows(brokers_of(settings), topics_of(settings), partitions, dry_run=dry_run)


def _line(mended: MendedRow, did: str) -> str:
    what = "its row from the log" if mended.is_row else "a deletion: the log knows no such lead"
    return f"partition {mended.partition} offset {mended.offset} key {mended.key}: {mended.why}; {did} {what}"
