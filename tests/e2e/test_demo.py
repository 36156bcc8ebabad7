"""`leadstream demo` as a command: real broker, real requests, a real SIGKILL."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.eventually import eventually

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
START_SECONDS, END_SECONDS = 60.0, 120.0


class Running:
    """The command with a temporary folder of its own, so that what it leaves there can be seen."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.out = folder.parent / "out"
        with self.out.open("w") as out, (folder.parent / "err").open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "streams", "demo", "--port", "0", *options],
                cwd=REPOSITORY,
                env={**os.environ, "TMPDIR": str(folder)},
                stdout=out,
                stderr=err,
            )

    @property
    def stdout(self) -> str:
        return self.out.read_text()

    @property
    def stderr(self) -> str:
        return (self.folder.parent / "err").read_text()

    def children(self) -> list[int]:
        """Processes that it has started and that still run, by their parent or by their log in its folder."""
        found = subprocess.run(
            ["ps", "-e", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        rows = [line.split() for line in found]
        return [int(pid) for pid, parent, state in rows if int(parent) == self.process.pid and state[0] != "Z"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "tmp"
    made.mkdir()
    return made


@pytest.fixture
def start(folder: Path) -> Iterator[list[Running]]:
    started: list[Running] = []
    yield started
    for running in started:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()


def _left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def _alive(pids: list[int]) -> list[int]:
    alive = []
    for pid in pids:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            continue
        alive.append(pid)
    return alive


def test_a_short_demo_loses_nothing_and_counts_nothing_twice(folder: Path, start: list[Running]) -> None:
    running = Running(folder, "--days", "6", "--json")
    start.append(running)
    assert running.process.wait(END_SECONDS) == 0, running.stderr
    [line] = running.stdout.splitlines()
    report = json.loads(line)
    assert report["problems"] == []
    assert report["accepted"] == report["scored"] > 500
    assert (report["lost"], report["counted_twice"]) == (0, 0)
    assert report["verify"]["equal"]
    assert report["alerts"] >= 1
    assert report["take_over"]["in_flight"] > 0
    assert report["latency_ms"]["request_to_score"]["count"] > 100
    assert "killing worker 1 (kill -9)" in running.stderr
    assert _left_in(folder) == []


@pytest.mark.parametrize("said", ["store ready", "worker has its partitions"])
async def test_ctrl_c_leaves_no_process_and_no_file(folder: Path, start: list[Running], said: str) -> None:
    running = Running(folder)
    start.append(running)
    await eventually(lambda: said in running.stdout, START_SECONDS)
    children = running.children()
    assert children
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(30) == 130
    assert _alive(children) == []
    assert _left_in(folder) == []
    assert running.stderr.strip() == "stopped"


async def test_a_terminal_that_goes_away_ends_everything_too(folder: Path, start: list[Running]) -> None:
    running = Running(folder)
    start.append(running)
    await eventually(lambda: "store ready" in running.stdout, START_SECONDS)
    children = running.children()
    running.process.send_signal(signal.SIGHUP)
    assert running.process.wait(30) == 130
    assert _alive(children) == []
    assert _left_in(folder) == []


def test_a_port_in_use_is_refused_with_what_to_do(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [sys.executable, "-m", "streams", "demo", "--port", str(port)],
            cwd=REPOSITORY,
            env={**os.environ, "TMPDIR": str(folder)},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    assert ended.returncode == 4
    assert ended.stdout == ""
    assert f"port {port}" in ended.stderr
    assert "leadstream demo --port" in ended.stderr
    assert _left_in(folder) == []
