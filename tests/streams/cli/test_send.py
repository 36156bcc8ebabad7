import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sources.config import CollectorSettings, WriteKey
from sources.kafka_producer import KafkaEventProducer
from streams import trial_event
from streams.embedded.process import free_port
from streams.kafka.topics import Topics
from tests.eventually import eventually
from tests.sources.http.running import running_collector
from tests.streams.cli.commands import Answer, Site
from tests.streams.scored_log import ScoredLog

TOPICS = Topics()
PRICING = "https://www.acme.example/pricing"


@asynccontextmanager
async def collector(site: Site, *, write_keys: tuple[WriteKey, ...] = ()) -> AsyncIterator[int]:
    """The real one on a free port."""
    settings = CollectorSettings(secret=b"secret", write_keys=write_keys)

    async def find_partitions() -> dict[str, int]:
        return {TOPICS.events: 2}

    producer = KafkaEventProducer(site.broker, find_partitions, now_ms=lambda: site_now(site), deadline_seconds=5)
    await producer.start()
    try:
        async with running_collector(settings, producer=producer, now_ms=lambda: site_now(site)) as running:
            await eventually(producer.ready)
            yield int(running.url.rpartition(":")[2])
    finally:
        await producer.stop()


def site_now(site: Site) -> int:
    return int(site.environment["LEADSTREAM_PLAY_START_MS"]) + 60_000


@asynccontextmanager
async def worker(log: ScoredLog) -> AsyncIterator[None]:
    """Folds whatever comes, all the time."""

    async def work() -> None:
        while True:
            await log.work()
            await asyncio.sleep(0.02)

    await log.resume()
    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled(), task.exception()


async def send(site: Site, port: int, *arguments: str) -> Answer:
    return await site.run("send", *arguments, LEADSTREAM_COLLECTOR_PORT=str(port))


async def test_an_event_is_followed_to_what_it_scored(fresh: Site) -> None:
    async with collector(fresh) as port, fresh.log() as log, worker(log):
        first = await send(fresh, port, "--url", PRICING, "--anonymous-id", "new", "--email", "wei@firm.example")
        again = await send(fresh, port, "--event", "event_attended", "--anonymous-id", "new", "--json")
        known = await send(fresh, port, "--event", "page_left", "--anonymous-id", "ada")
        mistyped = await send(fresh, port, "--event", "pageview", "--anonymous-id", "ada")
    assert first.code == 0
    assert "of new, scored in " in first.out
    assert "pricing-page +15.0; score 0.0 -> 15.0; stage visitor -> lead; no alert" in first.out
    assert again.code == 0, again.err
    assert again.data["points"] == {"offline-event": 50.0}
    assert again.data["score_before"] == pytest.approx(15, abs=0.1)
    assert again.data["score"] == pytest.approx(65, abs=0.1)
    assert (again.data["stage"], again.data["transition"]) == ("lead", None)
    told = 'no rule fitted (no rule names the event "pageview"; the nearest name is "page_view"); score 75.0'
    assert told in mistyped.out
    assert "no rule fitted; score 75.0 -> 75.0; stage MQL; no alert" in known.out


async def test_an_event_is_read_from_a_file(fresh: Site, tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    text = json.dumps({"type": "download", "asset": "whitepaper", "user_id": "u1", "event_id": "from-file"})
    await asyncio.to_thread(file.write_text, text)
    async with collector(fresh) as port, fresh.log() as log, worker(log):
        data = (await send(fresh, port, str(file), "--json")).data
    assert (data["event_id"], data["id"], data["points"]) == ("from-file", "3u1", {"download": 10.0})


async def test_an_event_that_can_never_score_is_told_at_once(fresh: Site, tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    async with collector(fresh) as port:
        await asyncio.to_thread(file.write_text, json.dumps({"flags": {"bot": True, "late": False, "clamped": False}}))
        bot = await send(fresh, port, str(file))
        await asyncio.to_thread(file.write_text, json.dumps({"typ": "download"}))
        unusable = await send(fresh, port, str(file))
        await asyncio.to_thread(file.write_text, json.dumps({"occurred_at": site_now(fresh) - 8 * 86_400_000}))
        late = await send(fresh, port, str(file))
    assert (bot.code, unusable.code, late.code) == (1, 2, 2)
    assert "older than 7 days is kept in the log as late and never scored" in late.err
    assert "leave occurred_at out" in late.err
    assert "bots never score" in bot.err
    assert "unknown field 'typ'" in unusable.err


@pytest.mark.parametrize("text", ["{", "[]", '"x"'])
async def test_a_file_that_is_no_event_is_wrong_input(site: Site, tmp_path: Path, text: str) -> None:
    file = tmp_path / "event.json"
    await asyncio.to_thread(file.write_text, text)
    assert (await site.run("send", str(file))).code == 2
    assert (await site.run("send", str(tmp_path / "none.json"))).code == 2


async def test_a_wrong_write_key_is_wrong_input(fresh: Site, tmp_path: Path) -> None:
    settings = tmp_path / "leadstream.toml"
    await asyncio.to_thread(settings.write_text, '[[write_keys]]\nname = "site"\nkey = "wrong-key"\n')
    async with collector(fresh, write_keys=(WriteKey("site", "right-key"),)) as port:
        answer = await fresh.run("--config", str(settings), "send", LEADSTREAM_COLLECTOR_PORT=str(port))
    assert answer.code == 2
    assert "wrong_write_key" in answer.err
    assert "wrong-key" not in answer.err


async def test_without_a_worker_it_says_how_far_the_event_went(fresh: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial_event, "DEADLINE_SECONDS", 1.0)
    async with collector(fresh) as port:
        answer = await send(fresh, port, "--url", PRICING)
    assert answer.code == 3
    assert "it stands in the log at leadstream.events.v1/" in answer.err
    assert "no worker runs" in answer.err


async def test_a_collector_that_is_away_is_named(site: Site) -> None:
    port = free_port()
    answer = await send(site, port)
    assert answer.code == 3
    assert f"the collector at http://127.0.0.1:{port} does not answer" in answer.err
