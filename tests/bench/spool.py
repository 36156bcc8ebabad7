"""The collector's spool: records a second in, with one sync for all that wait; answers while the broker is away; and the
drain once it is back. The collector is the product's own process, on the disk of the temporary directory.
"""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory

import aiohttp

from sources.base import OutgoingRecord
from sources.completion import Completion
from sources.config import CollectorSettings
from sources.http.records import records_of
from sources.http.requests import EVENTS_PATH, CollectorRequest, read_request
from sources.spool.spool import Spool
from streams.embedded.broker import EmbeddedBroker
from streams.embedded.process import free_port
from streams.settings.config import Collector
from streams.stack import Stack
from tests.bench.latency import CONNECTIONS, Connection, quantiles
from tests.bench.setup import kinds, make_topics, settings_for, show
from tests.kafka.apache import ApacheKafka

RATE, SECONDS, BACKLOG = 500, 8, 100_000
PREFIX = "spool."


async def run() -> None:
    with TemporaryDirectory(prefix="leadstream-bench-") as name:
        show("Spool alone", await _alone(Path(name)))
    for kind in kinds():
        show(f"Collector with its broker paused, {kind} broker", await _collector(kind))


def _record(number: int) -> OutgoingRecord:
    settings = CollectorSettings(secret=b"bench")
    request = CollectorRequest(EVENTS_PATH, _body(number), time.time_ns() // 1_000_000)
    return records_of(read_request(request, settings, Completion(b"bench")), request, settings)[0]


def _body(number: int) -> bytes:
    event = {
        "type": "page_view",
        "event_id": f"e{number}",
        "anonymous_id": f"visitor-{number}",
        "url": "https://www.acme.example/pricing",
    }
    return json.dumps([event]).encode()


async def _alone(directory: Path) -> dict[str, str]:
    spool = Spool(directory, 2**30, now_ms=lambda: time.time_ns() // 1_000_000)
    await spool.open()
    records = [_record(number) for number in range(1_000)]
    rows = {"a record": f"{len(records[0].value)} bytes of event"}
    for clients in (1, 32, 500):
        count = 300 if clients == 1 else BACKLOG // 3
        started = time.monotonic()
        await asyncio.gather(*(_append(spool, records, count // clients) for _ in range(clients)))
        rows[f"in, {clients} requests at a time"] = f"{count / (time.monotonic() - started):,.0f} records/s"
    batches = [[record] * 100 for record in records[:100]]
    started = time.monotonic()
    await asyncio.gather(*(spool.append(batch) for batch in batches))
    rows["in, 100 records a request"] = f"{10_000 / (time.monotonic() - started):,.0f} records/s"
    count, started = spool.status().records, time.monotonic()
    while window := await spool.next_window():
        await spool.acknowledged(window)
    rows["out, without a broker"] = f"{count / (time.monotonic() - started):,.0f} records/s"
    await spool.close()
    return rows


async def _append(spool: Spool, records: list[OutgoingRecord], count: int) -> None:
    for number in range(count):
        await spool.append([records[number % len(records)]])


async def _collector(kind: str) -> dict[str, str]:
    async with _parts(kind) as (stack, pause, resume):
        port, rows = stack.settings.collector.port, {}
        delays = await _post(port, range(RATE * 2), RATE)
        rows[f"answer at {RATE} requests/s, broker there"] = quantiles(delays)
        pause()
        await _post(port, range(1), RATE)
        delays = await _post(port, range(RATE * SECONDS), RATE)
        rows[f"answer at {RATE} requests/s, spooled"] = quantiles(delays)
        started = time.monotonic()
        await _fill(port)
        records = await _spooled(port)
        rows["in by HTTP, 100 events a request"] = (
            f"{(records - RATE * SECONDS) / (time.monotonic() - started):,.0f} records/s"
        )
        resume()
        while (left := await _spooled(port)) == records:  # noqa: ASYNC110  # nobody tells when the broker has woken up
            await asyncio.sleep(0.01)
        started = time.monotonic()
        posting = asyncio.create_task(_post(port, range(RATE), RATE))
        while await _spooled(port):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        seconds = time.monotonic() - started
        rows["drain"] = f"{left / seconds:,.0f} records/s ({left:,} in {seconds:.1f} s)"
        rows[f"answer at {RATE} requests/s during the drain"] = quantiles(await posting)
        return rows


async def _fill(port: int) -> None:
    """A backlog, in requests of 100 events over a few connections."""
    connections = [await Connection.open(port) for _ in range(8)]

    async def post(connection: Connection, numbers: range) -> None:
        for first in numbers:
            events = [json.loads(_body(first * 100 + number))[0] for number in range(100)]
            await connection.post(json.dumps(events).encode())
        connection.writer.close()

    each = BACKLOG // 100 // len(connections)
    await asyncio.gather(*(post(one, range(place * each, (place + 1) * each)) for place, one in enumerate(connections)))


async def _post(port: int, numbers: range, rate: int) -> list[float]:
    """Requests with an event each at the rate, whatever the answers take; ms of each answer."""
    idle: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        idle.put_nowait(await Connection.open(port))
    delays: list[float] = []

    async def post(number: int) -> None:
        started = time.monotonic()
        connection = await idle.get()
        await connection.post(_body(number))
        delays.append((time.monotonic() - started) * 1000)
        idle.put_nowait(connection)

    started, sent = time.monotonic(), []
    for number in numbers:
        await asyncio.sleep(max(0.0, started + (number - numbers.start) / rate - time.monotonic()))
        sent.append(asyncio.create_task(post(number)))
    await asyncio.gather(*sent)
    while not idle.empty():
        idle.get_nowait().writer.close()
    return delays


async def _spooled(port: int) -> int:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/health") as response:
        return int((await response.json())["spool"]["records"])


@asynccontextmanager
async def _parts(kind: str) -> AsyncIterator[tuple[Stack, Callable[[], None], Callable[[], None]]]:
    """A running collector with a spool, and how to pause its broker and let it go on."""
    with TemporaryDirectory(prefix="leadstream-bench-") as name:
        async with _broker(kind) as (servers, pause, resume):
            await make_topics(servers, PREFIX, played=False)
            collector = Collector(port=free_port(), key_secret=token_hex(16), spool_dir=str(Path(name) / "spool"))
            settings = replace(settings_for(servers, PREFIX, kind, played=False), collector=collector)
            stack = Stack(settings, Path(name))
            child = stack.start("collector", "collector")
            try:
                await stack.until_ready("collector", child, collector.port)
                yield stack, pause, resume
            finally:
                resume()
                await child.stop()


@asynccontextmanager
async def _broker(kind: str) -> AsyncIterator[tuple[str, Callable[[], None], Callable[[], None]]]:
    if kind == "apache":
        async with ApacheKafka.start() as apache:
            yield apache.bootstrap_servers, apache.pause, apache.resume
        return
    async with EmbeddedBroker.start() as embedded:
        send = embedded.child.send
        yield embedded.bootstrap_servers, lambda: send(signal.SIGSTOP), lambda: send(signal.SIGCONT)
