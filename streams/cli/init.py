"""`leadstream init`: a model, settings and an example environment to begin with."""

from importlib import resources
from pathlib import Path

import click

from processors.model import read_model
from processors.models import load_shipped
from streams.cli.exits import REFUSED, WRONG_INPUT, CommandError
from streams.embedded.process import LOOPBACK
from streams.page.snippets import ANY_KEY, script_tag
from streams.program import program
from streams.settings.config import Collector

_ENVIRONMENT = """\
# Variables that leadstream reads; they win over leadstream.toml. Copy this file to .env, and keep .env out of version control.
# Docker compose reads .env by itself; in a shell: set -a; . ./.env; set +a

KAFKA_BOOTSTRAP_SERVERS=localhost:9092
REDIS_URL=redis://localhost:6379/0

# Turns e-mail addresses into keys. Make it once (openssl rand -hex 32) and keep it. A file is better: ..._SECRET_FILE
LEADSTREAM_COLLECTOR_KEY_SECRET=

# Pages that may send, with commas between them.
LEADSTREAM_COLLECTOR_ORIGINS=https://www.acme.example
"""


@click.command
@click.argument("directory", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
def init(directory: Path) -> None:
    """Write a model and settings to start from into DIR.

    model.yaml, leadstream.toml and .env.example; DIR is here by default. Never overwrites a file.

    \b
    leadstream init
    leadstream init my-site
    """
    files = _files()
    if there := [name for name in files if (directory / name).exists()]:
        raise CommandError(
            f"{', '.join(there)} in {directory} {'is' if len(there) == 1 else 'are'} already there; nothing was written",
            "Move what is there away, or choose another folder: leadstream init my-site",
            code=REFUSED,
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            with (directory / name).open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}", code=WRONG_INPUT) from error
    _tell(directory, files)


def _files() -> dict[str, str]:
    return {
        "model.yaml": load_shipped("minimal"),
        "leadstream.toml": resources.files("streams.templates").joinpath("leadstream.toml").read_text("utf-8"),
        ".env.example": _ENVIRONMENT,
    }


def _tell(directory: Path, files: dict[str, str]) -> None:
    rules = len(read_model(files["model.yaml"]).rules)
    url = f"http://{LOOPBACK}:{Collector().port}"
    there = "" if directory == Path() else f"cd {directory} && "
    click.echo(
        f"wrote model.yaml ({rules} rules), leadstream.toml, .env.example" + (f" into {directory}" if there else "")
    )
    click.echo(f"Paste before </head>:  {script_tag(url, ANY_KEY)}")
    click.echo(f"Next: {there}{program(directory)} up          then open {url}/")
    click.echo(f"Then: edit model.yaml, and: {program(directory)} model check model.yaml")
