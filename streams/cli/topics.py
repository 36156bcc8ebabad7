"""`leadstream topics ensure|check`."""

import asyncio
from dataclasses import asdict

import click

from streams.brokers import Brokers
from streams.cli.exits import WRONG_INPUT, CommandError
from streams.cli.findings import report_findings
from streams.cli.printing import print_json
from streams.cli.services import DEADLINE_SECONDS, brokers_of, run, settings_of
from streams.cli.words import Group
from streams.config import topics_of
from streams.finding import Finding
from streams.provision import Provisioned, ProvisionError, admin_client, ensure_topics
from streams.topic_checks import check_topics


@click.group(cls=Group)
def topics() -> None:
    """Create and check the topics.

    \b
    leadstream topics ensure --partitions 12
    leadstream topics check
    """


@topics.command()
@click.option("--partitions", type=click.IntRange(1, 10_000), help="Default: kafka.partitions of the settings.")
@click.option("--replication", type=click.IntRange(1, 100), help="Default: kafka.replication_factor of the settings.")
@click.option("--dry-run", is_flag=True, help="Say what would be done.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
@click.pass_context
def ensure(
    context: click.Context, partitions: int | None, replication: int | None, dry_run: bool, as_json: bool
) -> None:
    """Create the topics that are missing, each events partition with its epoch record.

    May be repeated. The partition count of a live topic never changes.

    \b
    leadstream topics ensure --partitions 12 --replication 3
    """
    settings = settings_of(context)
    brokers = brokers_of(settings)

    async def work() -> Provisioned:
        await _reach(brokers)
        return await ensure_topics(
            brokers,
            topics_of(settings),
            partitions=partitions or settings.kafka.partitions,
            replication=replication or settings.kafka.replication_factor,
            dry_run=dry_run,
        )

    try:
        done = run(work(), settings)
    except ProvisionError as error:
        raise CommandError(str(error), code=WRONG_INPUT) from error
    if as_json:
        print_json({**asdict(done), "epochs": [f"{tp.topic}/{tp.partition}" for tp in done.epochs], "dry_run": dry_run})
    else:
        _print(done, "would create" if dry_run else "created")


def _print(done: Provisioned, did: str) -> None:
    for name in done.created:
        click.echo(f"{did} {name}")
    if done.epochs:
        click.echo(f"{did} the epoch record of {len(done.epochs)} events partitions")
    if not done.created and not done.epochs:
        click.echo("all topics are there; nothing to do")


@topics.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_context
def check(context: click.Context, as_json: bool) -> int:
    """Check counts, settings and epoch records, and say how to mend what is wrong.

    \b
    leadstream topics check

    Exit code 1: a failure; parts refuse to start.
    """
    settings = settings_of(context)
    brokers = brokers_of(settings)

    async def work() -> list[Finding]:
        await _reach(brokers)
        return await check_topics(brokers, topics_of(settings))

    return report_findings(run(work(), settings), as_json=as_json)


async def _reach(brokers: Brokers) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS), admin_client(brokers):
        pass
