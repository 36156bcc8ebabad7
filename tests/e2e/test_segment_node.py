"""An unmodified client: npm's @segment/analytics-node against the running collector."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from tests.eventually import eventually
from tests.sources.http.running import running_collector

HERE = Path(__file__).parent / "node"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the client installed, outside the repository. Skips, loudly, without node and npm; not in CI."""
    missing = [name for name in ("node", "npm") if shutil.which(name) is None]
    if missing and os.environ.get("CI") == "true":
        pytest.fail(f"CI must run the test of the Node client: install {' and '.join(missing)}")
    if missing:
        pytest.skip(f"NOT TESTED WITH THE NODE CLIENT: {' and '.join(missing)} not on the PATH")
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "send.js"):
        shutil.copy(HERE / name, folder)
    return folder


async def run(folder: Path, *command: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode(errors="replace")


@pytest.mark.slow
async def test_the_node_sdk_delivers_every_call_also_after_a_503(client: Path) -> None:
    code, output = await run(client, "npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--silent")
    assert code == 0, output
    async with running_collector() as running:
        running.producer.away = True
        sending = asyncio.create_task(run(client, "node", "send.js", running.url))
        counts = running.metrics.counts
        await eventually(
            lambda: counts["leadstream_collector_requests_total", "route=/v1/batch", "status=503"] > 0, seconds=30
        )
        running.producer.away = False
        code, output = await sending
        assert code == 0, output
        events = {event["event_id"]: event for event in running.producer.events}
        assert sorted(event["type"] for event in events.values()) == [
            "alias",
            "demo_requested",
            "group",
            "identify",
            "page_view",
            "screen_view",
        ]
        by_type = {event["type"]: event for event in events.values()}
        assert by_type["identify"]["traits"] == {"email": "ada@bigbank.example", "title": "CTO"}
        assert by_type["page_view"]["campaign"]["source"] == "g"
        assert by_type["demo_requested"]["asset"] == "demo"
        assert {event["source"]["library"] for event in events.values()} == {"@segment/analytics-node"}
        assert not any(event["flags"]["bot"] for event in events.values())
