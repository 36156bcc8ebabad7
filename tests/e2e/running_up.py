"""`leadstream up` as a user starts it: in a folder of its own, with its output read as it comes."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.eventually import eventually

ROOT = Path(__file__).parents[2]
START_SECONDS = 90.0


@dataclass(frozen=True)
class RunningUp:
    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def output(self) -> str:
        return (self.folder / "output.txt").read_text("utf-8")

    @property
    def url(self) -> str:
        return self.line("Open: ").partition("/    ")[0]

    def line(self, start: str) -> str:
        """The rest of the line of the output that begins so."""
        found = re.search(f"^{re.escape(start)}(.*)$", self.output, re.MULTILINE)
        assert found is not None, self.output
        return found[1]

    def shell(self, line: str) -> Any:
        """The JSON that a command line prints, run as it was pasted."""
        ran = subprocess.run(line, shell=True, capture_output=True, timeout=20, check=True)
        return json.loads(ran.stdout)

    async def page(self) -> dict[str, Any]:
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/dev/requests") as response:
            state: dict[str, Any] = await response.json()
            return state

    async def says(self, text: str, seconds: float = 30.0) -> None:
        await eventually(lambda: text in self.output or self.process.poll() is not None, seconds)
        assert text in self.output

    def children(self) -> dict[int, str]:
        """pid -> command line."""
        me = self.process.pid
        pids = Path(f"/proc/{me}/task/{me}/children").read_text().split()
        return {
            int(pid): Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip() for pid in pids
        }

    def child(self, end: str) -> int:
        """The pid of the child whose command line ends so."""
        (pid,) = [pid for pid, command in self.children().items() if command.endswith(end)]
        return pid

    async def ended(self, seconds: float = 30.0) -> int:
        await eventually(lambda: self.process.poll() is not None, seconds)
        return self.process.returncode

    def files(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "tmp").rglob("*"))


@asynccontextmanager
async def running_up(folder: Path, *arguments: str, until: str = "Ctrl-C stops") -> AsyncIterator[RunningUp]:
    """It has said `until`; by default it is ready then."""
    up = RunningUp(_start(folder, arguments), folder)
    try:
        await up.says(until, START_SECONDS)
        yield up
    finally:
        if up.process.poll() is None:
            up.process.send_signal(signal.SIGINT)
            await up.ended()


def _start(folder: Path, arguments: tuple[str, ...]) -> subprocess.Popen[bytes]:
    (folder / "tmp").mkdir()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("LEADSTREAM_")},
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(folder / "tmp"),
    }
    with (folder / "output.txt").open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "streams", "up", "--port", "0", *arguments],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
