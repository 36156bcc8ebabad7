"""Groups and choices that name the nearest word where a wrong one was written."""

from typing import Any

import click

from schemas.nearest import did_you_mean


class Group(click.Group):
    """A group of commands."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            error.message += did_you_mean(args[0], self.list_commands(ctx))
            raise


class Choice(click.Choice):  # type: ignore[type-arg]  # click is generic here only from 8.2 on
    """An argument that is one of a few words."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            error.message += did_you_mean(str(value), self.choices)
            raise
