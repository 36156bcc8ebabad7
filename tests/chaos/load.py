"""Page views of many visitors, and of one who floods. What gets no 2xx is sent again with the same ids."""

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import suppress

import aiohttp

from tests.chaos.site import Site

LEADS = 500
EVENTS_PER_SECOND = 60
REPEATED = 0.05  # of the requests are sent three times, as clients do
FLOODER = "flooder"
FLOOD_VIEWS = 2_300  # its row takes 2,000
FLOOD_BATCH, FLOOD_EVERY_SECONDS = 20, 1.2  # below the collector's limit of a visitor, 20 events a second


async def load(site: Site, random_: random.Random, until: float) -> None:
    """Until then (monotonic), and until all that was begun has its 2xx."""
    timeout = aiohttp.ClientTimeout(total=20)
    headers = {"User-Agent": "Mozilla/5.0 Chrome/140.0"}
    async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
        flood = asyncio.create_task(_flood(site, session, until))
        number, sending = 0, set[asyncio.Task[None]]()
        while time.monotonic() < until:
            number += 1
            lead = f"visitor-{int(random_.random() ** 1.2 * LEADS)}"
            again = random_.random() < REPEATED
            task = asyncio.create_task(_send(site, session, lead, [f"view-{number}"], again=again))
            sending.add(task)
            task.add_done_callback(sending.discard)
            await asyncio.sleep(1 / EVENTS_PER_SECOND)
        await asyncio.gather(flood, *sending)


async def _flood(site: Site, session: aiohttp.ClientSession, until: float) -> None:
    for first in range(0, FLOOD_VIEWS, FLOOD_BATCH):
        if time.monotonic() >= until:
            return
        ids = [f"flood-{number}" for number in range(first, first + FLOOD_BATCH)]
        await _send(site, session, FLOODER, ids, again=False)
        await asyncio.sleep(FLOOD_EVERY_SECONDS)


async def _send(site: Site, session: aiohttp.ClientSession, lead: str, ids: Sequence[str], *, again: bool) -> None:
    body = {"batch": [_view(lead, id_) for id_ in ids]}
    left = 3 if again else 1
    while left:
        if await _post(site, session, body):
            site.accepted |= {(lead, id_) for id_ in ids}
            left -= 1
        else:
            site.refused += 1
            await asyncio.sleep(0.5)


def _view(lead: str, event_id: str) -> dict[str, object]:
    url = f"https://www.acme.example/{event_id}"
    return {"type": "page", "anonymousId": lead, "messageId": event_id, "properties": {"url": url}}


async def _post(site: Site, session: aiohttp.ClientSession, body: object) -> bool:
    with suppress(aiohttp.ClientError, TimeoutError, OSError):
        async with session.post(f"{site.parts.url}/v1/batch", json=body) as response:
            if response.status == 503:
                site.told_to_wait += 1
                if "Retry-After" not in response.headers:
                    site.complaints.add("a 503 of the collector has no Retry-After")
            return response.status == 200
    return False
