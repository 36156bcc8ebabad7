"""What `up` does about a part that ends. The parts are real processes, but do nothing."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from streams.embedded.process import Child
from streams.settings.config import Settings
from streams.stack import Stack
from streams.supervise import PartEndedError, supervise
from tests.eventually import eventually

RUNS = "import time; time.sleep(600)"
ENDS = "print('no broker\\n  start it'); raise SystemExit(3)"


class StackOfIdlers(Stack):
    next_worker = RUNS

    def idle(self, name: str, program: str) -> Child:
        child = self.parts[name] = Child([sys.executable, "-c", program], self.logs / f"{name}.log")
        return child

    def start_worker(self) -> Child:
        child = self.idle(f"worker-{len(self.workers) + 1}", self.next_worker)
        self.workers.append(child)
        return child

    async def until_ready(self, name: str, child: Child, port: int | None = None) -> None:
        async def ready() -> bool:
            return self.next_worker == RUNS

        await child.until(ready, name, 10)


@asynccontextmanager
async def supervised(logs: Path) -> AsyncIterator[tuple[StackOfIdlers, list[str], "asyncio.Task[None]"]]:
    stack, told = StackOfIdlers(Settings(), logs), list[str]()
    stack.idle("store", RUNS)
    stack.idle("collector", RUNS)
    stack.start_worker()
    children = list(stack.parts.values())
    task = asyncio.create_task(supervise(stack, told.append))
    try:
        yield stack, told, task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, PartEndedError):
            await task
        for child in [*children, *stack.workers]:
            child.kill()


async def test_a_worker_that_is_killed_gets_a_successor(tmp_path: Path) -> None:
    async with supervised(tmp_path) as (stack, told, _):
        pid = stack.workers[0].pid
        stack.workers[0].kill()
        await eventually(lambda: len(told) == 2)
        assert told == [
            f"worker-1 (pid {pid}) was killed (SIGKILL); starting worker-2",
            "worker-2 took over; nothing is lost",
        ]
        assert list(stack.parts) == ["store", "collector", "worker-2"]


async def test_workers_that_end_one_after_the_other_end_it_all(tmp_path: Path) -> None:
    async with supervised(tmp_path) as (stack, told, task):
        stack.next_worker = ENDS
        stack.workers[0].kill()
        said = r"worker-4 \(pid \d+\) ended with exit code 3, again; its last line: no broker; start it$"
        with pytest.raises(PartEndedError, match=said) as ended:
            await asyncio.wait_for(task, 20)
        assert ended.value.exit_code == 3
        assert len(told) == 3


async def test_a_part_that_holds_what_others_need_ends_it_all(tmp_path: Path) -> None:
    async with supervised(tmp_path) as (stack, _, task):
        stack.parts["store"].kill()
        with pytest.raises(PartEndedError, match=r"^store \(pid \d+\) was killed \(SIGKILL\)$"):
            await asyncio.wait_for(task, 20)


async def test_warnings_of_the_collector_are_told_once_and_without_what_a_terminal_obeys(tmp_path: Path) -> None:
    async with supervised(tmp_path) as (_, told, _task):
        with (tmp_path / "collector.log").open("a", encoding="utf-8") as log:
            log.write(
                "2026-03-02 09:00:00,000 INFO a: fine\n2026-03-02 09:00:00,000 ERROR aiokafka: [1]\n2026-03-02 09:00:00,000 WARNING a.b: refused \x1b[2J x: y\n"
            )
            log.write("2026-03-02 09:00:00,000 ERROR a.b: no broker\n2026-03-02 09:00:00,000 WARNING a: half a li")
            log.flush()
            await eventually(lambda: len(told) == 2)
            log.write("ne\n")
            log.flush()
            await eventually(lambda: len(told) == 3)
        assert told == ["collector: refused  [2J x: y", "collector: no broker", "collector: half a line"]
