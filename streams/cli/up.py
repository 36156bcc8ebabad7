"""`leadstream up`: all parts on this machine, in memory, for pointing a site at."""

import asyncio
import logging
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import click
from rich.console import Console
from rich.status import Status
from rich.text import Text

from processors.model import Checked, ScoringModel
from processors.models import load_shipped
from streams.cli.exits import FINDING, UNREACHABLE, WRONG_INPUT, CommandError
from streams.cli.model_files import check_model_text, read_model_file
from streams.cli.ports import require_free
from streams.cli.services import settings_of
from streams.config import Settings
from streams.dev_page import REQUESTS_PATH
from streams.embedded.process import StartError
from streams.metrics import PrometheusMetrics
from streams.parts import make_sink, run_named_sink
from streams.program import program
from streams.snippets import demo_request_line, page_view_line, script_tag, write_key
from streams.stack import Stack
from streams.supervise import PartEndedError, supervise

_SHIPPED = "minimal"
_MODEL_SECONDS = 20.0
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command
@click.option(
    "--model",
    "model_file",
    metavar="FILE",
    help="Scoring model. Default: model.yaml if it is there, else a shipped one.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Of the collector and its page; 0: a free one. Default: 8080."
)
@click.pass_context
def up(context: click.Context, model_file: str | None, port: int | None) -> None:
    """Run all parts on this machine, in memory, to point a site at. Ctrl-C stops and deletes everything.

    A worker that ends is started again, as a supervisor would; when another part ends, so does everything.

    \b
    leadstream up
    leadstream up --model model.yaml --port 8090
    """
    settings = settings_of(context)
    if port is not None:
        settings = replace(settings, collector=replace(settings.collector, port=port))
    text, name, checked = _model(model_file, settings)
    require_free(settings.collector.port, "up")
    console = Console(highlight=False, soft_wrap=True)
    console.print("leadstream up: all parts on this machine, [bold]in memory: everything is gone when it stops[/bold]")
    console.print(
        Text(f"model {checked.model.name}@{checked.model.version} from {name}, {len(checked.model.rules)} rules")
    )
    for warning in checked.warnings:
        console.print(Text(f"  warn {warning}"))
    with tempfile.TemporaryDirectory(prefix="leadstream-up-") as logs, _logging_to(Path(logs) / "up.log"):
        asyncio.run(_until_stopped(settings, text, checked.model, Path(logs), console))


def _model(file: str | None, settings: Settings) -> tuple[str, str, Checked]:
    """(text, where it is from, what was read of it): the file said, else the one of the settings, else the shipped
    one, whose rules fit pages on any host. A file that somebody named must be there.
    """
    named = file or settings.model
    if file is not None or named != Settings().model or Path(named).is_file():
        text, name = read_model_file(named), named
    else:
        text, name = load_shipped(_SHIPPED), f"the package ({_SHIPPED}.yaml); your own: {program()} init"
    return text, name, check_model_text(text, named)


@contextmanager
def _logging_to(file: Path) -> Iterator[None]:
    """What the libraries in this process say goes beside the logs of the parts, not between the alerts."""
    handler = logging.FileHandler(file)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()


async def _until_stopped(settings: Settings, text: str, model: ScoringModel, logs: Path, console: Console) -> None:
    """Run until a signal; then the parts end in order."""
    loop, running = asyncio.get_running_loop(), asyncio.create_task(_run(settings, text, model, logs, console))

    def stop() -> None:
        for number in _STOPPING:  # the parts end within seconds; a second Ctrl-C would only leave that undone
            loop.add_signal_handler(number, lambda: None)
        console.print("stopping ...")
        running.cancel()

    for number in _STOPPING:
        loop.add_signal_handler(number, stop)
    try:
        await running
    except asyncio.CancelledError:
        console.print("stopped; nothing is left")
    except StartError as error:
        raise CommandError(str(error), code=UNREACHABLE) from error
    except ValueError as error:  # a channel of the settings
        raise CommandError(str(error), code=WRONG_INPUT) from error
    except PartEndedError as error:
        raise CommandError(
            str(error), f"what was in memory is gone; start again: {program()} up", code=FINDING
        ) from error


async def _run(settings: Settings, text: str, model: ScoringModel, logs: Path, console: Console) -> None:
    status = console.status("starting; about 10 s")
    status.start()
    try:
        # The sink of the alerts runs in this process: their place is this terminal.
        async with Stack.running(
            settings, text, logs, lambda step: console.print(Text(f"  {step}")), sinks=("redis",)
        ) as stack:
            await _watch(stack, model, console, status)
    finally:
        status.stop()


async def _watch(stack: Stack, model: ScoringModel, console: Console, status: Status) -> None:
    metrics, never = PrometheusMetrics(), asyncio.Event()
    alerts = make_sink("alerts", stack.settings, metrics)
    tasks = [
        asyncio.create_task(run_named_sink("alerts", alerts, stack.settings, metrics, never)),
        asyncio.create_task(supervise(stack, lambda line: console.print(Text(line, style="yellow")))),
    ]
    try:
        await _until_explained(stack)
        status.stop()
        _tell_ready(stack, model, console)
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _until_explained(stack: Stack) -> None:
    """Return when the model has come through worker and sink to the page, which can say from now on what scores."""
    async with aiohttp.ClientSession() as session:

        async def explains() -> bool:
            async with session.get(f"{stack.url}{REQUESTS_PATH}") as response:
                return (await response.json())["model"] is not None

        await stack.parts["collector"].until(explains, "the model", _MODEL_SECONDS)


def _tell_ready(stack: Stack, model: ScoringModel, console: Console) -> None:
    key = write_key(stack.settings)
    lines = [
        ("", ""),
        ("Open", f"{stack.url}/    the last requests and what each scores by itself"),
        ("Paste before </head>", script_tag(stack.url, key)),
        ("Or send an event", page_view_line(stack.url, key, model)),
        ("And for an alert", demo_request_line(stack.url, key)),
        ("In another terminal", f"{stack.variables}; then: {program()} lead list"),
        ("", ""),
    ]
    for title, said in lines:
        console.print(Text.assemble((f"{title}: " if title else "", "bold"), said))
    console.print("Alerts appear here. Ctrl-C stops and deletes everything.")
