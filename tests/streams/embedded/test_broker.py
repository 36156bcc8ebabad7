import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from streams.embedded.broker import EmbeddedBroker, answers_metadata
from streams.embedded.process import StartError, free_port


async def test_the_broker_answers_a_metadata_request_and_is_gone_afterwards(tmp_path: Path) -> None:
    log = tmp_path / "broker.log"
    async with EmbeddedBroker.start(log=log) as broker:
        assert broker.bootstrap_servers.startswith("127.0.0.1:")
        assert await answers_metadata(broker.bootstrap_servers)
        assert f"listening on: tcp://{broker.bootstrap_servers}" in log.read_text()
    assert broker.child.exit_code is not None
    assert not await answers_metadata(broker.bootstrap_servers)


async def test_ctrl_c_ends_the_broker_in_order() -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert parent.stdout is not None
    address, pid = (await parent.stdout.readline()).decode().split()
    assert await answers_metadata(address)
    assert os.getsid(int(pid)) != os.getsid(parent.pid), "the terminal's Ctrl-C must not reach it"
    parent.send_signal(signal.SIGINT)
    assert (await parent.stdout.read()).decode().split() == ["ended", "0"]
    assert await parent.wait() != 0
    assert not await answers_metadata(address)


PARENT = textwrap.dedent("""
    import asyncio
    from streams.embedded.broker import EmbeddedBroker

    async def main():
        try:
            async with EmbeddedBroker.start() as broker:
                print(broker.bootstrap_servers, broker.child.pid, flush=True)
                await asyncio.Event().wait()
        finally:
            print("ended", broker.child.exit_code, flush=True)

    asyncio.run(main())
""")


async def test_two_brokers_run_side_by_side() -> None:
    async with EmbeddedBroker.start() as one, EmbeddedBroker.start() as other:
        assert one.bootstrap_servers != other.bootstrap_servers


async def test_a_port_that_nobody_listens_on_answers_no_metadata() -> None:
    assert not await answers_metadata(f"127.0.0.1:{free_port()}")


async def test_a_missing_program_is_named_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALF_TANSU_BIN", "/nowhere/tansu")
    with pytest.raises(StartError, match="set KAFKA_BOOTSTRAP_SERVERS"):
        async with EmbeddedBroker.start():
            pytest.fail("there is no such program")
