"""Runs commands against an embedded broker and store that hold a scored log."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import click
from click.testing import CliRunner

from schemas.codec import decode
from sinks.base import Delivery, StartOver
from sinks.config import RedisSettings
from sinks.redis_leads import RedisLeads
from streams.cli import cli
from streams.cli.exits import CommandError
from streams.embedded.broker import EmbeddedBroker
from streams.embedded.store import EmbeddedStore
from streams.kafka.brokers import Brokers
from streams.kafka.topics import Topics
from tests.brokers import Broker
from tests.streams.scored_log import START_MS, ScoredLog

REFERENCE = resources.files("processors").joinpath("models", "reference.yaml").read_text("utf-8")
ADA = b"1ada"


@dataclass(frozen=True, slots=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


@dataclass
class Site:
    """`environment`: what the commands read instead of a settings file."""

    broker: str
    redis: str
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def brokers(self) -> Brokers:
        return Brokers(self.broker)

    def at(self, now_ms: int) -> None:
        """The commands' clock shows this."""
        self.environment |= {
            "LEADSTREAM_PLAY_START_MS": str(now_ms),
            "LEADSTREAM_PLAY_ANCHOR_MS": str(round(time.time() * 1000)),
            "LEADSTREAM_PLAY_DAYS_PER_SECOND": "0.00001",
        }

    async def run(self, *arguments: str, command: click.Command = cli, **environment: str) -> Answer:
        known = {"KAFKA_BOOTSTRAP_SERVERS": self.broker, "REDIS_URL": self.redis, **self.environment, **environment}
        return await run(*arguments, command=command, **known)

    @asynccontextmanager
    async def log(self, *, model: str | None = None) -> AsyncIterator[ScoredLog]:
        async with ScoredLog.start(Broker("embedded", self.broker), Topics(), model=model) as log:
            yield log

    async def show_in_redis(self, log: ScoredLog) -> None:
        """What the Redis sink would do: deliver scores and transitions, from their beginning."""
        sink = RedisLeads(RedisSettings(self.redis))
        try:
            for topic in (log.topics.scores, log.topics.transitions):
                for number in range(log.partitions):
                    batch = []
                    for record in await log.records(topic, number):
                        kind, value = decode(record.value) if record.value else (None, None)
                        batch.append(
                            Delivery(topic, number, record.offset, record.key, kind, value, record.timestamp)  # type: ignore[arg-type]  # of the kind
                        )
                    if batch:
                        await _deliver(sink, batch)
        finally:
            await sink.close()


async def _deliver(sink: RedisLeads, batch: list[Delivery]) -> None:
    try:
        await sink.deliver(batch)
    except StartOver:
        await sink.deliver(batch)


async def run(*arguments: str, command: click.Command = cli, **environment: str) -> Answer:
    """As `leadstream ARGUMENTS` would, but in this process; `streams.cli.main` turns errors into codes the same way."""
    result = await asyncio.to_thread(
        CliRunner().invoke, command, list(arguments), env=environment, standalone_mode=False, catch_exceptions=True
    )
    error = result.exception
    if isinstance(error, CommandError):
        return Answer(error.code, result.stdout, f"{result.stderr}{error}")
    if isinstance(error, click.ClickException):
        return Answer(error.exit_code, result.stdout, f"{result.stderr}{error.format_message()}")
    if error is not None:
        raise error
    return Answer(result.return_value or 0, result.stdout, result.stderr)


@asynccontextmanager
async def embedded() -> AsyncIterator[Site]:
    """A broker and a store of one's own, empty."""
    async with EmbeddedBroker.start() as broker, EmbeddedStore.start() as store:
        site = Site(broker.bootstrap_servers, store.url)
        site.at(START_MS)
        yield site


async def scored_site(site: Site) -> None:
    """Ada is an MQL; a visitor has looked at prices; two records could not be used; all is in Redis."""
    async with site.log(model=REFERENCE) as log:
        traits = {
            "traits.email": "ada@bigbank.example",
            "traits.email_kind": "business",
            "traits.name": "Ada Lovelace",
            "traits.title": "CTO",
        }
        await log.act(ADA, event="identify", **traits, **{"traits.company": "Big Bank", "traits.employees": "1200"})
        await log.act(ADA, event="event_attended", title="Data Summit", url="https://www.acme.example/summit")
        await log.act(ADA, event="download", asset="whitepaper", title="Metadata white paper")
        await log.act(ADA, url="https://www.acme.example/pricing")
        await log.act(b"1eve", url="https://www.acme.example/pricing", title="evil\x1b[2Jtitle")
        await log.append(ADA, b"{broken")
        await log.work()  # of a batch the letters come in no order
        await log.append(b"1eve", b"\xc3\x01\x1b[31munknown")
        await log.work()
        await site.show_in_redis(log)
        site.at(log.now)
