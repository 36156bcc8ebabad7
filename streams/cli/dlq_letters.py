"""The dead letters as the commands `leadstream dlq ...` name and choose them."""

from collections.abc import Sequence

import click

from streams.cli.exits import FINDING, CommandError
from streams.cli.printing import escaped, when
from streams.cli.services import brokers_of, partition_count, run
from streams.cli.words import Choice
from streams.delivery.letters import REASONS, Letter, read_letters
from streams.settings.config import Settings, topics_of

reason_option = click.option("--reason", metavar="R", type=Choice(REASONS), help="Only those with this reason.")


def all_letters(settings: Settings) -> list[Letter]:
    """Every letter that is kept, the handled ones too, oldest first."""

    async def read() -> list[Letter]:
        partitions = await partition_count(settings)
        return await read_letters(brokers_of(settings), topics_of(settings).dead_letters, partitions)

    return run(read(), settings)


def refuse_number_0(*names: str) -> None:
    """Raises:
    click.BadParameter: before anything is read.
    """
    if any(name and not name.strip("0") for name in names):
        raise click.BadParameter("the numbers of `dlq list` begin with 1", param_hint="NUMBER|ID")


def named_letter(letters: Sequence[Letter], name: str) -> Letter:
    """Raises:
    CommandError: there is none of this number or id.
    """
    found = next((letter for letter in letters if name in (str(letter.number), letter.id)), None)
    if found is None:
        raise CommandError(
            f"there is no dead letter {escaped(name)}; there are {len(letters)}",
            "see: leadstream dlq list --all",
            code=FINDING,
        )
    return found


def told(letter: Letter) -> str:
    """What became of it: `replayed 2 March 2026 ...: put back at ...`."""
    handled = letter.handled
    if handled is None:
        return "open"
    return f"{handled['outcome']} {when(handled['at'])}" + (f": {handled['detail']}" if handled["detail"] else "")
