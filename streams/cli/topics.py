"""`leadstream topics ensure|check|accept-loss`."""

import asyncio
from dataclasses import asdict

import click

from streams.cli.asking import confirm
from streams.cli.exits import REFUSED, WRONG_INPUT, CommandError
from streams.cli.findings import report_findings
from streams.cli.printing import escaped, plural, print_json
from streams.cli.services import DEADLINE_SECONDS, brokers_of, partition_count, run, settings_of
from streams.cli.words import Group
from streams.finding import Finding
from streams.kafka.brokers import Brokers
from streams.kafka.provision import Provisioned, ProvisionError, admin_client, ensure_topics
from streams.kafka.topic_checks import check_topics
from streams.repair.accept_loss import Loss, NotOfTheLogError, WorkersRunError, accept, find_losses
from streams.settings.config import topics_of


@click.group(cls=Group)
def topics() -> None:
    """Create and check the topics; go on where one has lost records.

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
    """Create the topics that are missing.

    Each events partition begins with its epoch record. May be repeated. The partition count of a live topic never changes.

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
    """Check counts, settings and epoch records; say the fix.

    \b
    leadstream topics check

    Exit code 1: a failure; parts refuse to start.
    """
    settings = settings_of(context)
    brokers = brokers_of(settings)

    async def work() -> list[Finding]:
        await _reach(brokers)
        return await check_topics(brokers, topics_of(settings), copies=settings.kafka.replication_factor)

    return report_findings(run(work(), settings), as_json=as_json)


@topics.command("accept-loss")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON; needs --yes.")
@click.pass_context
def accept_loss(context: click.Context, yes: bool, as_json: bool) -> int:
    """Go on from an events topic that has lost records.

    A worker ends rather than pass over records that were deleted before it had folded them, or go on in a log that was cut
    off or made anew. This moves it to what is left: to the first record that is there; or, where offsets begin anew, behind
    all that is there, to a new epoch. Rows stay as they are. What was lost stays lost. All workers must be stopped.

    \b
    leadstream topics accept-loss

    Exit code 4: workers run; or a partition has lost more than its log, and a new epoch would make it worse.
    """
    settings = settings_of(context)
    brokers, names = brokers_of(settings), topics_of(settings)

    async def find() -> list[Loss]:
        return await find_losses(brokers, names, await partition_count(settings))

    try:
        losses = run(find(), settings)
    except WorkersRunError as error:
        fix = "stop all workers; one that did not stop in order, or has a worker.instance_id, counts until its session ends, after 30 s"
        raise CommandError(str(error), fix, code=REFUSED) from error
    except NotOfTheLogError as error:
        raise CommandError(str(error), "mend that first: docs/runbook.md, A worker ends", code=REFUSED) from error
    if not as_json:
        for loss in losses:
            click.echo(escaped(loss.why))
    if losses and not yes:
        confirm(f"Accept the loss in {plural(len(losses), 'partition')}?")
    accepted = run(accept(brokers, names, losses), settings) if losses else []
    done = [(f"{loss.tp.topic}/{loss.tp.partition}", loss.go_on_at, loss.fold.epoch) for loss in accepted]
    if as_json:
        print_json([{"partition": where, "goes_on_at": at, "epoch": epoch} for where, at, epoch in done])
    elif not done:
        click.echo("no partition has lost records that a worker would miss; nothing to do")
    else:
        click.echo("\n".join(f"{where}: goes on at offset {at}, epoch {epoch}" for where, at, epoch in done))
    return 0


async def _reach(brokers: Brokers) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS), admin_client(brokers):
        pass
