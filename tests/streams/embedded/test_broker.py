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
