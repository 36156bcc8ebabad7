"""Sends the requests of the site when their time has come, as SDKs do: again while the collector cannot take them."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable
from typing import Final

import aiohttp

from sources.http.app import SENT_AT_HEADER
from streams.clock import DAY_MS, PlayedClock, SystemClock
from streams.demo.site import PlayedRequest, iso

LANES: Final = 16  # requests at once; those of one visitor go one after the other
RETRY_SECONDS: Final = 0.25
GIVE_UP_SECONDS: Final = 15.0
_REAL: Final = SystemClock()


class CollectorGoneError(ConnectionError):
    """The collector has taken no request for `GIVE_UP_SECONDS`."""


class Player:
    """Plays requests against the collector at `url`.

    Attributes:
        acknowledged: event id -> how often the collector has said 2xx to it.
        refused: events that it refused for good. The site sends none that it should.
        in_air: events sent and not yet answered.
    """

    def __init__(self, url: str, clock: PlayedClock) -> None:
        self._url = url
        self._clock = clock
        self.acknowledged: Counter[str] = Counter()
        self.refused = 0
        self.retries = 0
        self.in_air = 0

    @property
    def accepted(self) -> int:
        return self.acknowledged.total()

    async def play(self, requests: Iterable[PlayedRequest]) -> None:
        """Return when every request is answered.

        Raises:
            CollectorGoneError: see there.
        """
        lanes: list[asyncio.Queue[PlayedRequest | None]] = [asyncio.Queue() for _ in range(LANES)]
        connector = aiohttp.TCPConnector(limit=LANES)
        async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as group:
            for lane in lanes:
                group.create_task(self._serve(lane, session))
            for request in requests:
                await self.until(request.at_ms)
                lanes[int(request.visitor[:8], 16) % LANES].put_nowait(request)
            for lane in lanes:
                lane.put_nowait(None)

    async def until(self, at_ms: int) -> None:
        """Return when the played clock shows `at_ms`."""
        if (wait_ms := at_ms - self._clock.now_ms()) > 0:
            await asyncio.sleep(wait_ms / DAY_MS / self._clock.days_per_second)

    async def _serve(self, lane: "asyncio.Queue[PlayedRequest | None]", session: aiohttp.ClientSession) -> None:
        while (request := await lane.get()) is not None:
            self.in_air += len(request.event_ids)
            try:
                await self._send(request, session)
            finally:
                self.in_air -= len(request.event_ids)

    async def _send(self, request: PlayedRequest, session: aiohttp.ClientSession) -> None:
        # The clock of the client runs right: the collector finds nothing to repair.
        body = json.dumps({**request.body, "sentAt": iso(self._clock.now_ms())}).encode()
        headers = {**request.headers, SENT_AT_HEADER: str(_REAL.now_ms())}
        try:
            async with asyncio.timeout(GIVE_UP_SECONDS):
                while not await self._post(request, body, headers, session):
                    self.retries += 1
                    await asyncio.sleep(RETRY_SECONDS)
        except TimeoutError as error:
            raise CollectorGoneError(f"the collector took nothing for {GIVE_UP_SECONDS:g} s") from error

    async def _post(
        self, request: PlayedRequest, body: bytes, headers: dict[str, str], session: aiohttp.ClientSession
    ) -> bool:
        """Whether it is answered for good; a 5xx, a 429 and a broken connection are not."""
        try:
            async with session.post(self._url + request.path, data=body, headers=headers) as response:
                answer = await response.json(content_type=None)
        except (aiohttp.ClientError, ValueError):
            return False
        if response.status >= 500 or response.status == 429:
            return False
        refused = int(answer.get("rejected", 0)) if response.ok else len(request.event_ids)
        self.refused += refused
        if not refused:
            self.acknowledged.update(request.event_ids)
        return True
