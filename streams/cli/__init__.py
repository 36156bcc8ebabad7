"""The command line. Each command lives in its own module and is imported when it is called."""

import logging
import sys
import traceback
from asyncio import CancelledError
from importlib import import_module
from importlib.metadata import version

import click

from streams.cli.exits import STOPPED, CommandError
from streams.cli.printing import escaped
from streams.cli.words import Group

# command -> module; the attribute is called like the command
_COMMANDS = {
    "demo": "demo",
    "score": "score",
    "init": "init",
    "up": "up",
    "doctor": "doctor",
    "collector": "parts",
    "worker": "parts",
    "sink": "parts",
    "topics": "topics",
    "model": "model",
    "lead": "lead",
    "send": "send",
    "tail": "tail",
    "dlq": "dlq",
    "verify": "verify",
    "rows": "rows",
}


class _Lazy(Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        if cmd_name not in _COMMANDS:
            return None
        command = getattr(import_module(f"streams.cli.{_COMMANDS[cmd_name]}"), cmd_name)
        return command if isinstance(command, click.Command) else None


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--config", metavar="FILE", help="Settings file. Default: leadstream.toml where it is there.")
@click.version_option(version("leadstream"), message="leadstream %(version)s")
@click.pass_context
def cli(context: click.Context, config: str | None) -> None:
    """Live, explainable lead scoring on Kafka.

    \b
    leadstream demo                      a B2B site, played; needs nothing
    leadstream score access.log          score a web server's log; needs no broker
    leadstream up                        all parts on this machine, for pointing a site at

    Exit codes: 0 fine, 1 a finding, 2 wrong input, 3 a service cannot be reached, 4 refused for safety, 70 a part failed
    and says why, 130 stopped by Ctrl-C.
    """
    context.obj = config
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it logs every refused connection; commands say it once


def main() -> None:
    try:
        code = cli.main(standalone_mode=False)
    except CommandError as error:
        click.echo("\n".join(map(escaped, f"leadstream: {error}".split("\n"))), err=True)
        sys.exit(error.code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        sys.exit(130)
    except (Exception, CancelledError) as error:  # noqa: BLE001 - a bug, or no memory; Python's own 1 would be a finding
        lines = [*traceback.format_exc().splitlines(), f"leadstream: failed unexpectedly, as above: {error!r}"]
        click.echo("\n".join(map(escaped, lines)), err=True)
        sys.exit(STOPPED)
    else:
        sys.exit(code if isinstance(code, int) else 0)
