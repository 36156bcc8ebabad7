import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from streams.embedded.process import LOOPBACK, Child, StartError, free_port, serve
from tests.eventually import eventually

PYTHON = [sys.executable, "-I", "-S", "-c"]


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process that ended but that nobody has reaped yet still takes signals.
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def program(body: str) -> list[str]:
    return [*PYTHON, textwrap.dedent(body)]


LISTENS = """
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    server.accept()
"""


async def connects(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    writer.close()
    return True


async def test_a_server_answers_inside_the_block_and_is_gone_after_it() -> None:
    async with serve("it", lambda port: [*program(LISTENS), str(port)], connects, None, 5) as (port, child):
        assert await connects(port)
        assert runs(child.pid)
    assert not runs(child.pid)
    assert not await connects(port)


async def test_a_program_that_ignores_sigterm_is_killed_after_the_grace() -> None:
    stubborn = program("""
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("ignoring", flush=True)
        time.sleep(60)
    """)
    child = Child(stubborn, None)
    await child.stop(grace_seconds=0.1)
    assert child.exit_code is not None
    assert not runs(child.pid)


async def test_the_second_port_is_tried_when_the_first_was_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    free, ports = free_port(), []

    async def answers(port: int) -> bool:
        return port == free and await connects(port)

    server = await asyncio.start_server(lambda _reader, writer: writer.close(), LOOPBACK, 0)
    async with server:
        ports = [server.sockets[0].getsockname()[1], free]
        monkeypatch.setattr("streams.embedded.process.free_port", lambda: ports.pop(0))
        async with serve("it", lambda port: [*program(LISTENS), str(port)], answers, None, 5) as (port, _):
            assert port == free


async def test_a_program_that_always_ends_is_reported_with_its_exit_code() -> None:
    with pytest.raises(StartError, match="the thing ended at its start with exit code 7"):
        async with serve("the thing", lambda _: program("raise SystemExit(7)"), connects, None, 5):
            pytest.fail("it never answered")


async def test_a_program_that_never_answers_is_reported_and_ended() -> None:
    pids: list[int] = []

    async def never(port: int) -> bool:
        return False

    child = Child(program("import time; time.sleep(60)"), None)
    pids.append(child.pid)
    with pytest.raises(StartError, match=r"the thing \(pid \d+\) was not ready after 0.1 s"):
        await child.until(lambda: never(0), "the thing", 0.1)
    await child.stop()
    assert not runs(pids[0])


async def test_the_output_goes_to_the_log_and_the_environment_stays_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LISTENER_URL", "tcp://0.0.0.0:1")
    log = tmp_path / "child.log"
    child = Child(program("import os; print(sorted(os.environ), os.getcwd())"), log)
    await eventually(lambda: child.exit_code is not None)
    said = log.read_text()
    assert "RUST_LOG" in said
    assert "LISTENER_URL" not in said
    assert said.strip().endswith(" /")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent (PR_SET_PDEATHSIG)")
async def test_a_child_dies_with_a_parent_that_gets_sigkill() -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        textwrap.dedent("""
            import sys, time
            from streams.embedded.process import Child
            print(Child([sys.executable, "-c", "import time; time.sleep(60)"], None).pid, flush=True)
            time.sleep(60)
        """),
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    assert runs(pid)
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    await eventually(lambda: not runs(pid))
