"""A flood of one write key at ten times its limit, and then as fast as the collector answers: what another key's answers take
meanwhile, and what memory the collector needs. The collector is the product's own process; the clients share its cores.
"""

import asyncio
import itertools
import json
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory

from streams.embedded.process import LOOPBACK, Child, free_port
from streams.settings.config import Collector, WriteKey
from streams.stack import Stack
from tests.bench.latency import quantiles
from tests.bench.setup import cpu_seconds, make_topics, rss_mib, running_broker, settings_for, show

LIMIT, GOOD_RATE, SECONDS, CONNECTIONS = 100, 50, 8, 64
PREFIX = "flood."


async def run() -> None:
    async with _collector() as (port, child):
        rows = {"memory at the start": f"{rss_mib(child.pid):.0f} MiB"}
        await _measure("no flood", port, child, rows, None)
        await _measure(f"flood of {10 * LIMIT} requests/s", port, child, rows, 10 * LIMIT / CONNECTIONS)
        await _measure(f"flood over {CONNECTIONS} connections, as fast as it goes", port, child, rows, 0.0)
    show(f"{GOOD_RATE} requests/s of one key, while another one floods ({LIMIT} requests/s a key)", rows)


async def _measure(what: str, port: int, child: Child, rows: dict[str, str], flood_rate: float | None) -> None:
    """`flood_rate` of each connection; 0: the next request follows the answer."""
    stop, codes = asyncio.Event(), Counter[bytes]()
    numbers = itertools.count()
    connections = CONNECTIONS if flood_rate is not None else 0
    floods = [asyncio.create_task(_flood(port, flood_rate or 0.0, numbers, codes, stop)) for _ in range(connections)]
    cpu, started = cpu_seconds(child.pid), time.monotonic()
    delays = await _visit(port)
    seconds = time.monotonic() - started
    share = (cpu_seconds(child.pid) - cpu) / seconds
    stop.set()
    await asyncio.gather(*floods)
    rows[what] = f"{quantiles(delays)}; {rss_mib(child.pid):.0f} MiB, {share * 100:.0f} % of a core"
    if codes:
        taken = ", ".join(f"{count / seconds:,.0f}/s {code.decode()}" for code, count in sorted(codes.items()))
        rows[f"{what}: answers to it"] = taken


async def _visit(port: int) -> list[float]:
    """Good requests at their rate, each of another visitor; ms of each answer."""
    delays: list[float] = []

    async def visit(number: int) -> None:
        began = time.monotonic()
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        code = await _post(reader, writer, "good", f"good-{number}")
        delays.append((time.monotonic() - began) * 1000)
        writer.close()
        if code != b"200":
            raise RuntimeError(f"a good request was answered {code!r}")

    started, sent = time.monotonic(), []
    for number in range(GOOD_RATE * SECONDS):
        await asyncio.sleep(max(0.0, started + number / GOOD_RATE - time.monotonic()))
        sent.append(asyncio.create_task(visit(number)))
    await asyncio.gather(*sent)
    return delays


async def _flood(
    port: int, rate: float, numbers: "itertools.count[int]", codes: Counter[bytes], stop: asyncio.Event
) -> None:
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    started = time.monotonic()
    for sent in itertools.count():
        if stop.is_set():
            break
        if rate:
            await asyncio.sleep(max(0.0, started + sent / rate - time.monotonic()))
        codes[await _post(reader, writer, "flood", f"visitor-{next(numbers)}")] += 1
    writer.close()


async def _post(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str, visitor: str) -> bytes:
    """The status of the answer."""
    body = json.dumps({"type": "page_view", "anonymous_id": visitor}).encode()
    writer.write(b"POST /v1/events?writeKey=%b HTTP/1.1\r\nHost: bench\r\n" % key.encode())
    writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    await reader.readexactly(int(length[1]) if length else 0)
    return head.split(b" ", 2)[1]


@asynccontextmanager
async def _collector() -> AsyncIterator[tuple[int, Child]]:
    with TemporaryDirectory(prefix="leadstream-bench-") as name:
        async with running_broker("embedded") as servers:
            await make_topics(servers, PREFIX, played=False)
            settings = settings_for(servers, PREFIX, "embedded", played=False)
            collector = Collector(port=free_port(), key_secret=token_hex(16), requests_per_second_per_key=LIMIT)
            keys = [WriteKey(key, key) for key in ("good", "flood")]
            stack = Stack(replace(settings, collector=collector, write_keys=keys), Path(name))
            child = stack.start("collector", "collector")
            try:
                await stack.until_ready("collector", child, collector.port)
                yield collector.port, child
            finally:
                await child.stop()
