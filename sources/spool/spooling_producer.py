"""To the brokers, or to the spool while they do not take records; and from the spool to the brokers once they do.

Order: a record of a request that was answered comes before those of every later request to this collector. So while
anything is spooled, all that comes goes behind it. At the end requests wait for a moment, until the last spooled records
are acknowledged; otherwise a steady stream of them would never find the spool empty.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from schemas.metrics import Metrics
from sources.base import BrokerUnavailableError, EventProducer, OutgoingRecord, RecordRefusedError
from sources.spool.spool import Spool, SpoolStatus, Window

log = logging.getLogger(__name__)

PATIENCE_SECONDS: Final = 1.5  # what a request waits for the brokers before its records are spooled
# Requests for the brokers; the next one is spooled at once, before the collector has to refuse some.
MOST_WAITING: Final = 250
PAUSE_SECONDS: Final = 0.5  # between two attempts to send what is spooled
UNREADY_SECONDS: Final = 5.0  # after neither took records


class SpoolingProducer:
    """An `EventProducer` that returns when the brokers, or else the disk, hold every record."""

    def __init__(
        self, producer: EventProducer, spool: Spool, metrics: Metrics, *, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        self._producer = producer
        self._spool = spool
        self._metrics = metrics
        self._patience_seconds = patience_seconds
        self._spooled = asyncio.Event()  # something is, so there is something to drain
        self._turn: asyncio.Event | None = None  # requests wait for it while the last spooled records are sent
        self._draining: asyncio.Task[None] | None = None
        self._waiting = 0  # requests, for the brokers
        self._failed_at: float | None = None  # when the brokers last did not take records in time

    async def start(self) -> None:
        """Raises:
        SpoolUnusableError: the spool's directory cannot be used; says which and why.
        """
        await self._spool.open()
        status = self._spool.status()
        if status.records:
            log.warning("the spool holds %d records of an earlier run, which are sent first", status.records)
            self._spooled.set()
        self._draining = asyncio.create_task(self._drain(), name="drain the spool")

    async def stop(self) -> None:
        """What is spooled stays so, for the next start."""
        if self._draining is not None:
            self._draining.cancel()
            await asyncio.gather(self._draining, return_exceptions=True)
        await self._spool.close()

    def ready(self) -> bool:
        """False while neither of the two takes records."""
        if self._spool.takes_records:
            return True
        now = asyncio.get_running_loop().time()
        return self._producer.ready() and (self._failed_at is None or now - self._failed_at > UNREADY_SECONDS)

    def status(self) -> SpoolStatus:
        return self._spool.status()

    async def send(self, records: Sequence[OutgoingRecord]) -> None:
        """Raises:
        BrokerUnavailableError: neither brokers nor spool took all of them; says why.
        """
        if self._turn is not None:
            await self._turn.wait()
        if self._spool.is_empty and self._waiting < MOST_WAITING and await self._sent(records):
            return
        await self._spool.append(records)
        self._spooled.set()

    async def _sent(self, records: Sequence[OutgoingRecord]) -> bool:
        self._waiting += 1
        try:
            async with asyncio.timeout(self._patience_seconds):
                await self._producer.send(records)
        except RecordRefusedError:
            raise
        except (BrokerUnavailableError, TimeoutError) as error:
            log.debug("to the spool: %s", error)
            self._failed_at = asyncio.get_running_loop().time()
            return False
        finally:
            self._waiting -= 1
        return True

    async def _drain(self) -> None:
        while True:
            await self._spooled.wait()
            log.warning("the brokers do not take records: they are spooled, and sent later")
            if await self._drain_all():
                log.warning("everything spooled is sent")

    async def _drain_all(self) -> bool:
        """Send all, oldest first, however long it takes. False: more is just being spooled."""
        flowing = False  # the brokers took the window before
        told = ""
        while True:
            self._spooled.clear()
            unexpected: Exception | None = None
            try:
                window = await self._spool.next_window()
                if window is None:
                    return self._spool.is_empty
                await self._send(window, hold=flowing and window.last)
                self._metrics.count("leadstream_collector_spool_drained_total", len(window.records))
                await self._spool.acknowledged(window)
                flowing = True
                continue
            except RecordRefusedError as error:
                problem = str(error)
            except (BrokerUnavailableError, TimeoutError):
                problem = ""  # they are away, which is what the spool is for
            except OSError as error:
                problem = f"its directory cannot be used: {error.strerror}"
            except Exception as error:  # noqa: BLE001  # such as want of memory: what is spooled must not wait for a restart
                problem, unexpected = repr(error), error
            finally:
                self._let_go()
            flowing = False
            if problem and problem != told:
                log.error("the spool waits until somebody has mended this: %s", problem, exc_info=unexpected)
            told = problem or told
            await asyncio.sleep(PAUSE_SECONDS)

    async def _send(self, window: Window, *, hold: bool) -> None:
        if not hold:
            await self._producer.send(window.records)
            return
        self._turn = asyncio.Event()
        async with asyncio.timeout(self._patience_seconds):
            await self._producer.send(window.records)

    def _let_go(self) -> None:
        if self._turn is not None:
            self._turn.set()
            self._turn = None
