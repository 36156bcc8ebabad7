"""`leadstream up`: all parts on this machine, for pointing a site at."""

import asyncio
import logging
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import click
from rich.console import Console
from rich.status import Status
from rich.text import Text

from processors.model import Checked, ScoringModel
from processors.model_log import read_model_record
from processors.models import load_shipped
from streams.cli.exits import FINDING, REFUSED, UNREACHABLE, WRONG_INPUT, CommandError
from streams.cli.model_files import check_model_text, read_model_file
from streams.cli.ports import require_free
from streams.cli.services import brokers_of, reaching, settings_of
from streams.delivery.delivery import SinkStoppedError
from streams.embedded.process import StartError
from streams.kafka.brokers import WRITE_SERVERS, are_servers
from streams.kafka.provision import ProvisionError
from streams.metrics import PrometheusMetrics
from streams.page.dev_page import REQUESTS_PATH
from streams.page.snippets import demo_request_line, page_view_line, script_tag, write_key
from streams.parts import make_sink, run_named_sink
from streams.program import program
from streams.require_alone import NotAloneError
from streams.settings.config import Settings
from streams.stack import Stack
from streams.supervise import PartEndedError, supervise

_SHIPPED = "minimal"
_MODEL_SECONDS = 20.0
_REFILL_SECONDS = 600.0  # on a broker of one's own the model may stand behind the scores of many leads
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Servers(click.ParamType):
    name = "HOST:PORT"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not are_servers(value):
            self.fail(f"{value!r} is no address of brokers. {WRITE_SERVERS}.", param, ctx)
        return value


@dataclass(frozen=True, slots=True)
class _Run:
    """What was asked for. `model`: its text; `shipped`: nobody has named one. `own_broker`: instead of the embedded."""

    settings: Settings
    model: str
    shipped: bool
    own_broker: bool

    @property
    def place(self) -> str:
        return f"the broker at {self.settings.kafka.bootstrap_servers}"

    @property
    def again(self) -> str:
        return f"{program()} up" + (f" --kafka {self.settings.kafka.bootstrap_servers}" if self.own_broker else "")


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
@click.option(
    "--kafka",
    type=_Servers(),
    help="A broker of your own: topics are made if they are missing, and what is written there stays.",
)
@click.pass_context
def up(context: click.Context, model_file: str | None, port: int | None, kafka: str | None) -> None:
    """Run all parts on this machine, in memory, to point a site at. Ctrl-C stops and deletes everything.

    A worker that ends is started again, as a supervisor would; when another part ends, so does everything.

    With --kafka events and scores stay on that broker, and the next `up` goes on from them; only the read model (Redis)
    is in memory, and filled again from the topics. TLS, password and topic prefix are those of the settings. A model that
    is in force there is replaced by model.yaml or --model where they differ, never by the shipped one.

    \b
    leadstream up
    leadstream up --model model.yaml --port 8090
    leadstream up --kafka localhost:9092

    Exit code 3: the broker is away; 4: its topics are not as they must be, or others work on them.
    """
    settings = settings_of(context)
    if port is not None:
        settings = replace(settings, collector=replace(settings.collector, port=port))
    if kafka is not None:
        settings = replace(settings, kafka=replace(settings.kafka, bootstrap_servers=kafka, embedded=False))
        brokers_of(settings)  # refused here, before anything starts
    named = _named_model(model_file, settings)
    text = load_shipped(_SHIPPED) if named is None else read_model_file(named)
    checked = check_model_text(text, named or _SHIPPED)
    require_free(settings.collector.port, "up")
    console = Console(highlight=False, soft_wrap=True)
    run = _Run(settings, text, shipped=named is None, own_broker=kafka is not None)
    _tell_begin(run, named, checked, console)
    with tempfile.TemporaryDirectory(prefix="leadstream-up-") as logs, _logging_to(Path(logs) / "up.log"):
        asyncio.run(_until_stopped(run, Path(logs), console))


def _named_model(file: str | None, settings: Settings) -> str | None:
    """The file said, else the one of the settings; None: nobody has named one. A file that somebody named must be there."""
    named = file or settings.model
    return named if file is not None or named != Settings().model or Path(named).is_file() else None


def _tell_begin(run: _Run, named: str | None, checked: Checked, console: Console) -> None:
    stays = Text("in memory: everything is gone when it stops", style="bold")
    if run.own_broker:
        stays = Text(f"events and scores stay on {run.place}; the read model is in memory", style="bold")
    console.print(Text.assemble("leadstream up: all parts on this machine, ", stays))
    source = named or f"the package ({_SHIPPED}.yaml; your own: {program()} init)"
    only = "if none is in force: " if run.own_broker and run.shipped else ""
    model = checked.model
    console.print(Text(f"{only}model {model.name}@{model.version}, {len(model.rules)} rules, from {source}"))
    for warning in checked.warnings:
        console.print(Text(f"  warn {warning}"))
    if run.own_broker and not run.settings.collector.key_secret:
        console.print(
            Text(
                "  warn no collector.key_secret: leads known by an e-mail alone begin anew with each start; for all others "
                "it does not matter. Make one (openssl rand -hex 32) and keep it: LEADSTREAM_COLLECTOR_KEY_SECRET"
            )
        )


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


async def _until_stopped(run: _Run, logs: Path, console: Console) -> None:
    """Run until a signal; then the parts end in order."""
    loop, running = asyncio.get_running_loop(), asyncio.create_task(_run(run, logs, console))

    def stop() -> None:
        for number in _STOPPING:  # the parts end within seconds; a second Ctrl-C would only leave that undone
            loop.add_signal_handler(number, lambda: None)
        console.print("stopping ...")
        running.cancel()

    for number in _STOPPING:
        loop.add_signal_handler(number, stop)
    try:
        with reaching(run.settings, f"start it, or name another: {program()} up --kafka HOST:PORT"):
            await running
    except asyncio.CancelledError:
        left = f"what was written is on {run.place}; to go on: {run.again}" if run.own_broker else "nothing is left"
        console.print(Text(f"stopped; {left}"))
    except StartError as error:
        raise CommandError(str(error), code=UNREACHABLE) from error
    except NotAloneError as error:
        raise CommandError(error.what, error.fix, code=REFUSED) from error
    except ProvisionError as error:
        raise CommandError(str(error), code=REFUSED) from error
    except ValueError as error:  # a channel of the settings
        raise CommandError(str(error), code=WRONG_INPUT) from error
    except (PartEndedError, SinkStoppedError) as error:
        left = f"what was written stays on {run.place}" if run.own_broker else "what was in memory is gone"
        code = UNREACHABLE if isinstance(error, PartEndedError) and error.exit_code == UNREACHABLE else FINDING
        raise CommandError(str(error), f"{left}; start again: {run.again}", code=code) from error


async def _run(run: _Run, logs: Path, console: Console) -> None:
    status = console.status("starting; about 10 s")
    status.start()
    try:
        async with Stack.running(
            run.settings,
            run.model,
            logs,
            lambda step: console.print(Text(f"  {step}")),
            sinks=("redis",),  # that of the alerts runs in this process: their place is this terminal
            own_broker=run.own_broker,
            keep_active=run.shipped,
        ) as stack:
            await _watch(run, stack, console, status)
    finally:
        status.stop()


async def _watch(run: _Run, stack: Stack, console: Console, status: Status) -> None:
    metrics, never = PrometheusMetrics(), asyncio.Event()
    alerts = make_sink("alerts", stack.settings, metrics)
    tasks = [
        asyncio.create_task(run_named_sink("alerts", alerts, stack.settings, metrics, never)),
        asyncio.create_task(supervise(stack, lambda line: console.print(Text(line, style="yellow")))),
    ]
    try:
        await _until_explained(stack, _REFILL_SECONDS if run.own_broker else _MODEL_SECONDS)
        status.stop()
        _tell_ready(run, stack, console)
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _until_explained(stack: Stack, seconds: float) -> None:
    """Return when the model has come through worker and sink to the page, which can say from now on what scores."""
    async with aiohttp.ClientSession() as session:

        async def explains() -> bool:
            with suppress(aiohttp.ClientError):  # it may have ended, which is found
                async with session.get(f"{stack.url}{REQUESTS_PATH}") as response:
                    return (await response.json())["model"] is not None
            return False

        await stack.parts["collector"].until(explains, "the model", seconds)


def _tell_ready(run: _Run, stack: Stack, console: Console) -> None:
    key, model = write_key(stack.settings), _model_in_force(stack)
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
    ends = "stops; what is on the broker stays" if run.own_broker else "stops and deletes everything"
    console.print(f"Alerts appear here. Ctrl-C {ends}.")


def _model_in_force(stack: Stack) -> ScoringModel:
    assert stack.in_force is not None, "the stack runs"
    return read_model_record(stack.in_force["body"])
