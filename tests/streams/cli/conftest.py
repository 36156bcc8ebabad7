from collections.abc import AsyncIterator

import pytest_asyncio

from tests.streams.cli.commands import Site, embedded, scored_site


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def site() -> AsyncIterator[Site]:
    """A scored site that no test changes."""
    async with embedded() as site:
        await scored_site(site)
        yield site


@pytest_asyncio.fixture
async def fresh() -> AsyncIterator[Site]:
    """A scored site of one's own."""
    async with embedded() as site:
        await scored_site(site)
        yield site


@pytest_asyncio.fixture
async def empty() -> AsyncIterator[Site]:
    """A broker and a store that hold nothing."""
    async with embedded() as site:
        yield site
