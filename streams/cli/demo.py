"""`leadstream demo`."""

import asyncio
import contextlib
import logging
import signal
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import click
from aiokafka.errors import KafkaError
from rich.console import Console

from streams.cli.exits import FINDING, UNREACHABLE, CommandError
from streams.cli.ports import require_free
from streams.demo.live_view import LiveView
from streams.demo.plain_view import PlainView
from streams.demo.report import DemoReport
from streams.demo.run import Demo, DemoOptions
from streams.demo.view import View
from streams.embedded.process import StartError
from streams.program import program
from streams.supervise import PartEndedError

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command
@click.option(
    "--days", type=click.IntRange(2, 365), default=60, show_default=True, help="Simulated days, one a second."
)
@click.option("--seed", type=int, default=7, show_default=True, help="Of chance: the same seed, the same visitors.")
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=8080, show_default=True, help="Of the collector; 0: a free one."
)
@click.option("--keep", is_flag=True, help="Leave everything running at the end, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Only the report, as one line; progress goes to stderr.")
def demo(days: int, seed: int, port: int, keep: bool, as_json: bool) -> int:
    """Play a B2B site, kill a worker, prove that nothing was lost.

    The site is invented, its requests are real.

    \b
    leadstream demo
    leadstream demo --days 10 --port 0
    leadstream demo --json | jq .latency_ms

    Everything runs on this machine, in memory, and is gone at the end. Exit code 1 if a number fails.
    """
    require_free(port, "demo")
    with tempfile.TemporaryDirectory(prefix="leadstream-demo-") as folder:
        # What the libraries in this process say would stand between the lines of the view.
        logging.getLogger().addHandler(logging.NullHandler())
        with _view(as_json=as_json) as view:
            report = _run(Demo(DemoOptions(days, seed, port, keep), view, Path(folder)), view, as_json=as_json)
    return FINDING if report.problems() else 0


def _run(run: Demo, view: View, *, as_json: bool) -> DemoReport:
    def on_report(report: DemoReport) -> None:
        if as_json:
            click.echo(report.as_json())

    async def until_signal() -> DemoReport:
        loop, running = asyncio.get_running_loop(), asyncio.create_task(run.run(on_report))

        def stop() -> None:
            for number in _STOPPING:  # the parts end within seconds; a second Ctrl-C would only leave that undone
                loop.add_signal_handler(number, lambda: None)
            view.waiting_for("stopping")
            running.cancel()

        for number in _STOPPING:
            loop.add_signal_handler(number, stop)
        return await running

    try:
        return asyncio.run(until_signal())
    except asyncio.CancelledError as error:
        raise click.Abort from error
    except (StartError, PartEndedError, OSError, KafkaError) as error:
        raise CommandError(
            str(error) or type(error).__name__, f"Start again: {program()} demo", code=UNREACHABLE
        ) from error


@contextlib.contextmanager
def _view(*, as_json: bool) -> Iterator[View]:
    release = ".".join(version("leadstream").split(".")[:2])
    if as_json:
        yield PlainView(release, sys.stderr)
    elif Console().is_interactive:
        with LiveView(release) as view:
            yield view
    else:
        yield PlainView(release)
