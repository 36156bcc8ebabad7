"""The watchdog over an event loop, in processes that it may end."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from streams.engine.settings import EngineSettings
from streams.watchdog import BLOCKED_SECONDS, EXIT_STUCK, Watchdog

BLOCKED = """
import asyncio, contextlib, os, sys, threading
from streams import watchdog
watchdog.BLOCKED_SECONDS = 1.0

async def main():
    async with watchdog.ended_when_blocked("sink redis"):
        await asyncio.sleep(0)  # the first beat
        if "full" in sys.argv:
            fill_stderr()
        stuck_in_a_library()

def fill_stderr():
    os.set_blocking(2, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(2, b"x" * 4096)
    os.set_blocking(2, True)

def stuck_in_a_library():
    threading.Event().wait()

asyncio.run(main())
"""
A_PART_THAT_BLOCKS = """
import asyncio, threading
from streams import watchdog
watchdog.BLOCKED_SECONDS = 1.0
from streams.cli import main, parts

async def ready(*_, **__):
    return 4

async def deliver(*_, **__):
    threading.Event().wait()

parts.require_topics = ready
parts.run_named_sink = deliver
parts._collect = deliver
main()
"""


def run(program: str, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_a_blocked_event_loop_ends_the_process_which_says_where_and_why() -> None:
    ended = run(BLOCKED)
    assert ended.returncode == EXIT_STUCK
    assert "in stuck_in_a_library" in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("leadstream sink redis: the event loop is blocked for ")


def test_it_ends_also_when_nobody_reads_what_it_says() -> None:
    """Who does not read a pipe blocks whoever writes to it, the watchdog too."""
    process = subprocess.Popen([sys.executable, "-c", BLOCKED, "full"], stderr=subprocess.PIPE)
    assert process.stderr is not None
    with process.stderr:
        try:
            assert process.wait(50) == -signal.SIGALRM
        finally:
            process.kill()
            process.wait()


@pytest.mark.parametrize("part", [("sink", "metrics"), ("collector",)], ids=" ".join)
def test_sinks_and_the_collector_are_watched(part: tuple[str, ...], tmp_path: Path) -> None:
    ended = run(A_PART_THAT_BLOCKS, *part, LEADSTREAM_COLLECTOR_KEY_SECRET="0123456789abcdef", HOME=str(tmp_path))
    assert ended.returncode == EXIT_STUCK, ended.stderr
    assert f"leadstream {' '.join(part)}: the event loop is blocked for " in ended.stderr


@pytest.mark.parametrize(
    "limit_seconds", [BLOCKED_SECONDS, EngineSettings.__dataclass_fields__["stall_seconds"].default]
)
def test_no_event_loop_is_blocked_for_more_than_two_minutes(limit_seconds: float) -> None:
    dog = Watchdog("worker", limit_seconds)
    dog._beat_at = 0.0
    assert dog._blocked(120 - Watchdog.INTERVAL_SECONDS) is not None


def test_a_process_that_slept_gets_its_chance_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped by a signal or a suspended machine, the loop could not beat either."""
    clock, ended = [0.0], []
    steps = iter([0.5, 1.0, 100.0, 100.5, 101.0, 101.5])

    class Stopped(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            clock[0] = next(steps, -1.0)
            return clock[0] < 0

    monkeypatch.setattr("streams.watchdog.time.monotonic", lambda: clock[0])
    dog = Watchdog("worker", 60.0, end=lambda *why: ended.append(why))
    dog._stopped = Stopped()
    dog.run()
    assert not ended
    steps = iter([102.0 + second for second in range(70)])
    dog.run()
    assert ended == [("worker", "the event loop is blocked for 61 s")]


def test_it_ends_for_a_reason_that_whoever_asks_gives() -> None:
    ended: list[Any] = []
    dog = Watchdog("worker", 60.0, lambda _: "no record was folded", end=lambda *why: ended.append(why))
    dog.INTERVAL_SECONDS = 0.01
    dog.start()
    dog.join(10)
    assert ended == [("worker", "no record was folded")]
