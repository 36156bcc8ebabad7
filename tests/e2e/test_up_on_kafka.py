"""`leadstream up --kafka`: what is written stays on the broker, and the next `up` goes on from it."""

import os
import re
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from processors.models import load_shipped
from streams.cli import cli
from streams.embedded.process import free_port
from streams.kafka.provision import admin_client
from streams.kafka.topics import Topics
from tests.brokers import Broker
from tests.e2e.running_up import RunningUp, running_up
from tests.e2e.test_up import send
from tests.eventually import eventually
from tests.streams.cli.commands import Answer, run
from tests.streams.embedded.test_process import runs
from tests.streams.kafka.test_topic_checks import make

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="NOT TESTED: the children are found in /proc"),
    pytest.mark.parametrize("broker", [pytest.param("apache", marks=pytest.mark.kafka)], indirect=True),
]


@dataclass(frozen=True)
class Place:
    """A folder to start `up` in, with settings that name topics of its own; and a shell beside it."""

    folder: Path
    prefix: str

    @classmethod
    def make(cls, folder: Path, prefix: str) -> "Place":
        folder.mkdir()
        (folder / "leadstream.toml").write_text(
            f'[kafka]\ntopic_prefix = "{prefix}"\npartitions = 2\n[collector]\nkey_secret = "kept"\n'
        )
        return cls(folder, prefix)

    async def command(self, up: RunningUp, *words: str) -> Answer:
        """As in another terminal, with the variables that `up` says."""
        told = dict(re.findall(r"(\w+)=(\S+)", up.line("In another terminal: export ").partition(";")[0]))
        return await run("--config", str(self.folder / "leadstream.toml"), *words, command=cli, **told)

    async def mql(self, up: RunningUp) -> dict[str, Any]:
        """The lead b1 once it is an MQL, but for what depends on the time of the question."""
        found: dict[str, Any] = {}

        async def is_one() -> bool:
            answer = await self.command(up, "lead", "show", "b1", "--json")
            found.update(answer.data if answer.code == 0 else {"stage": ""})
            return bool(found["stage"] == "mql" and len(found["transitions"]) == 2)

        await eventually(is_one, seconds=20)
        return {name: found[name] for name in ("id", "entered_at", "traits", "first_at", "last_at", "transitions")}


@pytest.mark.slow
async def test_the_next_up_goes_on_from_what_is_on_the_broker(broker: Broker, prefix: str, tmp_path: Path) -> None:
    place = Place.make(tmp_path / "first", prefix)
    (place.folder / "ours.yaml").write_text(load_shipped("reference"))
    at = ("--kafka", broker.bootstrap_servers)
    async with running_up(place.folder, *at, "--model", "ours.yaml") as up:
        assert f"events and scores stay on the broker at {broker.bootstrap_servers}" in up.output
        assert "everything is gone" not in up.output
        assert "5 topics with 2 partitions created" in up.output
        assert "model activated: b2b-reference@" in up.output
        traits = {"email": "ada@bigbank.example", "title": "CTO", "employees": 1200, "country": "CN"}
        webinar = {"type": "track", "event": "Event Attended", "properties": {"asset": "Data Summit"}}
        await send(up, {"type": "identify", "anonymousId": "b1", "traits": traits}, {**webinar, "anonymousId": "b1"})
        os.kill(up.child("streams worker"), signal.SIGKILL)
        await up.says("was killed (SIGKILL); starting worker-2")
        download = {"type": "track", "anonymousId": "b1", "event": "download", "properties": {"asset": "whitepaper"}}
        pricing = {"type": "page", "anonymousId": "b1", "properties": {"url": "https://www.acme.example/pricing"}}
        await send(up, download, pricing)
        await up.says("Why now: ")
        before = await place.mql(up)
        children = up.children()
        assert len(children) == 4, children  # no broker
        up.process.send_signal(signal.SIGINT)
        assert await up.ended() == 0
        assert f"what was written is on the broker at {broker.bootstrap_servers}; to go on: " in up.output
        assert "Ctrl-C stops; what is on the broker stays." in up.output
        assert not [pid for pid in children if runs(pid)]
        assert up.files() == []

    later = Place.make(tmp_path / "second", prefix)
    async with running_up(later.folder, *at) as up:
        assert "5 topics with 2 partitions are there" in up.output
        assert "model in force already: b2b-reference@" in up.output, "the shipped model does not replace it"
        assert await later.mql(up) == before, "the read model is filled again"
        await send(up, {**download, "anonymousId": "b2"})

        async def both() -> bool:
            return {lead["id"] for lead in (await later.command(up, "lead", "list", "--json")).data} == {"1b1", "1b2"}

        await eventually(both, seconds=20)
        verified = await later.command(up, "verify", "--json")
        assert (
            verified.data | {"equal": True, "leads": 2, "accepted": 5, "lost": 0, "counted_twice": 0} == verified.data
        )
        assert "Why now" not in up.output, "an alert of before is not told again"


async def refused(place: Place, *arguments: str) -> tuple[int, str]:
    async with running_up(place.folder, *arguments, until="leadstream: ") as up:
        return await up.ended(), up.output


async def test_a_broker_that_is_away_is_3_with_what_to_do(broker: Broker, prefix: str, tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    code, told = await refused(Place.make(tmp_path / "here", prefix), "--kafka", address)
    assert code == 3, told
    assert f"the broker at {address} does not answer (nothing listens on {address})" in told
    assert "up --kafka HOST:PORT" in told, "the setting would change nothing"
    assert "Traceback" not in told


async def test_topics_that_are_not_as_they_must_be_are_4_and_stay_as_they_are(
    broker: Broker, prefix: str, tmp_path: Path
) -> None:
    topics = Topics(prefix)
    await make(broker, topics, {topics.rows: {"cleanup.policy": "delete"}})
    code, told = await refused(Place.make(tmp_path / "here", prefix), "--kafka", broker.bootstrap_servers)
    assert code == 4, told
    assert f"topic {topics.rows}: cleanup.policy is delete, wanted compact; fix: kafka-configs.sh" in told
    async with admin_client(broker.at) as admin:
        assert len(await admin.list_topics()) >= 5
