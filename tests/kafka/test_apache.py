import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from streams.embedded.broker import answers_metadata
from streams.embedded.process import StartError
from tests import brokers
from tests.brokers import require_apache
from tests.kafka import apache
from tests.kafka.apache import ApacheKafka


@pytest_asyncio.fixture
async def node() -> AsyncIterator[ApacheKafka]:
    require_apache()
    async with ApacheKafka.start() as started:
        yield started


@pytest.mark.kafka
async def test_a_killed_node_comes_back_on_the_same_port(node: ApacheKafka) -> None:
    first = node.pid
    node.kill()
    assert not await answers_metadata(node.bootstrap_servers)
    await node.boot()
    assert node.pid != first
    assert await answers_metadata(node.bootstrap_servers)


@pytest.mark.kafka
async def test_a_paused_node_takes_connections_and_answers_when_it_goes_on(node: ApacheKafka) -> None:
    node.pause()
    with socket.create_connection(("127.0.0.1", node.port), timeout=5):
        assert not await answers_metadata(node.bootstrap_servers)
    node.resume()
    async with asyncio.timeout(10):
        assert await answers_metadata(node.bootstrap_servers)


@pytest.mark.kafka
async def test_a_node_that_cannot_start_says_why() -> None:
    require_apache()
    with pytest.raises(StartError, match=r"log\.segment\.bytes"):
        async with ApacheKafka.start({"log.segment.bytes": "one"}):
            pytest.fail("it must not start")


def test_without_java_the_tests_are_skipped_with_a_loud_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(brokers, "missing_tools", lambda: ["java"])
    with pytest.raises(pytest.skip.Exception, match="NOT TESTED ON APACHE KAFKA: java"):
        require_apache()


def test_without_java_ci_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr(brokers, "missing_tools", lambda: ["java", "mvn"])
    with pytest.raises(pytest.fail.Exception, match="java and mvn"):
        require_apache()


def test_programs_that_are_not_on_the_path_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert apache.missing_tools() == ["java", "mvn"]
