"""Fixtures: the brokers and the store that tests run on. Every test uses fresh topic names."""

import os
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

import pytest
import pytest_asyncio

from streams.embedded.broker import EmbeddedBroker
from streams.embedded.store import EmbeddedStore
from streams.kafka.brokers import Brokers
from tests.kafka.apache import ApacheKafka, missing_tools


@dataclass(frozen=True, slots=True)
class Broker:
    kind: Literal["embedded", "apache"]
    bootstrap_servers: str

    @property
    def at(self) -> Brokers:
        return Brokers(self.bootstrap_servers)


def require_apache() -> None:
    """Skip where Apache Kafka cannot run; fail there in CI, which must have all it needs."""
    missing = " and ".join(missing_tools())
    if not missing:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must run the Apache Kafka tests; not on the PATH: {missing}")
    pytest.skip(f"NOT TESTED ON APACHE KAFKA: {missing} not found on the PATH")


@pytest_asyncio.fixture(
    scope="session",
    loop_scope="session",
    params=["embedded", pytest.param("apache", marks=pytest.mark.kafka)],
)
async def broker(request: pytest.FixtureRequest) -> AsyncIterator[Broker]:
    """One running broker of each kind for the whole session."""
    if request.param == "apache":
        require_apache()
        async with ApacheKafka.start() as apache:
            yield Broker("apache", apache.bootstrap_servers)
    else:
        async with EmbeddedBroker.start() as embedded:
            yield Broker("embedded", embedded.bootstrap_servers)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def redis_url() -> AsyncIterator[str]:
    """The URL of one embedded store for the whole session; use own keys, or flush it first."""
    async with EmbeddedStore.start() as store:
        yield store.url


@pytest.fixture
def prefix() -> str:
    """A prefix of topic, group and key names that no other test has."""
    return f"t{uuid.uuid4().hex[:12]}."
