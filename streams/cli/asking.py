"""Before something is done that cannot be taken back."""

import sys

import click

from streams.cli.exits import REFUSED, CommandError


def refuse_off_terminal() -> None:
    """Raises:
    CommandError: nobody can be asked.
    """
    if not sys.stdin.isatty():
        raise CommandError(
            "nobody can be asked: this is no terminal", "say --yes to do it; nothing was done", code=REFUSED
        )


def confirm(question: str) -> None:
    """Raises:
    CommandError: nobody can be asked, or the answer is no.
    """
    refuse_off_terminal()
    if not click.confirm(question, err=True):
        raise CommandError("nothing was done", code=REFUSED)
