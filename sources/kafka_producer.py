"""Records to Kafka, acknowledged by all in-sync replicas, or an error within the deadline."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import stamina
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, UnknownTopicOrPartitionError

from schemas.keys import partition_of
from sources.base import BrokerUnavailableError, OutgoingRecord, RecordRefusedError

log = logging.getLogger(__name__)

LINGER_MS: Final = 5  # requests that arrive together share a batch; the embedded broker slows down with many small ones
UNREADY_SECONDS: Final = 5.0
# After so long without an acknowledgement the connections are made anew. The client's own tasks end for good at an error
# that it does not expect, such as want of memory, and then nothing is ever sent again.
RENEW_SECONDS: Final = 30.0
STOP_SECONDS: Final = 10.0  # more than a batch waits
MAX_BATCH_BYTES: Final = 131_072
MAX_RECORD_BYTES: Final = 1_048_576  # Kafka's default for a topic


class KafkaEventProducer:
    """`find_partitions` gives the partition count of each topic whose keys have a fixed home; of other topics the client
    chooses. It is asked before each attempt to connect, and raises an error of Kafka or `BrokerUnavailableError` until it
    knows. `connection` holds further arguments of `AIOKafkaProducer`, such as TLS and SASL.

    Not idempotent on purpose: the embedded broker cannot, and the fold counts an event id once.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        find_partitions: Callable[[], Awaitable[Mapping[str, int]]],
        *,
        now_ms: Callable[[], int],
        deadline_seconds: float = 5.0,
        connection: Mapping[str, Any] | None = None,
    ) -> None:
        self._servers = bootstrap_servers
        self._partitions: Mapping[str, int] = {}
        self._find_partitions = find_partitions
        self._now_ms = now_ms
        self._deadline_seconds = deadline_seconds
        self._connection = dict(connection or {})
        self._producer: AIOKafkaProducer | None = None
        self._failed_at: float | None = None
        self._failing_since: float | None = None  # no record was acknowledged since
        self._trouble_at: float | None = None  # the last failure of a trouble that was told
        self._connecting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return at once; the brokers may come later. Until then `send` fails and `ready` is false."""
        self._connecting = asyncio.create_task(self._connect(), name="connect to Kafka")

    async def stop(self) -> None:
        """Send what waits and close the connections."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        if self._producer is not None:
            await _stopped(self._producer)
            self._producer = None

    def ready(self) -> bool:
        """False before the first connection, and for a while after a failed send; then the next one may show that the
        brokers are back.
        """
        if self._producer is None:
            return False
        return self._failed_at is None or asyncio.get_running_loop().time() - self._failed_at > UNREADY_SECONDS

    async def send(self, records: Sequence[OutgoingRecord]) -> None:
        """Raises:
        BrokerUnavailableError: not all were acknowledged within the deadline; says why.
        """
        producer = self._producer
        if producer is None:
            raise BrokerUnavailableError(f"no broker at {self._servers} has answered yet")
        acknowledgements: list[asyncio.Future[Any]] = []
        try:
            async with asyncio.timeout(self._deadline_seconds):
                for record in records:
                    acknowledgements.append(await self._hand_over(producer, record))  # noqa: PERF401  # kept on an error
                await asyncio.gather(*acknowledgements)
            self._sent()
        except TimeoutError as error:
            raise self._unavailable(f"no acknowledgement within {self._deadline_seconds:g} s") from error
        except MessageSizeTooLargeError as error:
            self._refused()
            raise RecordRefusedError(
                f"{error!r}: set max.message.bytes of the topic to {MAX_RECORD_BYTES} or more"
            ) from error
        except KafkaError as error:
            raise self._unavailable(_advice(error)) from error
        except AssertionError as error:  # how aiokafka says that there is no such partition
            self._refused()
            raise RecordRefusedError(f"{error}: compare the topics with: leadstream topics check") from error
        finally:
            for acknowledgement in acknowledgements:
                acknowledgement.add_done_callback(_retrieve)

    def _sent(self) -> None:
        self._failed_at = self._failing_since = None
        if self._trouble_at is not None and asyncio.get_running_loop().time() - self._trouble_at > UNREADY_SECONDS:
            self._trouble_at = None
            log.warning("the brokers at %s take records again", self._servers)

    def _unavailable(self, detail: str) -> BrokerUnavailableError:
        """Told once, until nothing has failed for a while: where one partition has no leader, the others go on."""
        if self._trouble_at is None:
            log.warning("the brokers at %s do not take all records: %s", self._servers, detail)
        self._failed()
        self._trouble_at = self._failed_at
        self._renew_if_need_be()
        return BrokerUnavailableError(detail)

    def _failed(self) -> None:
        self._failed_at = asyncio.get_running_loop().time()

    async def _hand_over(self, producer: AIOKafkaProducer, record: OutgoingRecord) -> asyncio.Future[Any]:
        count = self._partitions.get(record.topic)
        future: asyncio.Future[Any] = await producer.send(
            record.topic,
            value=record.value,
            key=record.key,
            partition=None if count is None else partition_of(record.key, count),
            timestamp_ms=self._now_ms(),
            headers=list(record.headers),
        )
        return future

    def _refused(self) -> None:
        self._failed()
        self._failing_since = None  # the brokers have answered

    def _renew_if_need_be(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._failing_since is None:
            self._failing_since = now
        if now - self._failing_since < RENEW_SECONDS or (self._connecting is not None and not self._connecting.done()):
            return
        log.warning("no record was acknowledged for %.0f s: connecting anew", now - self._failing_since)
        self._failing_since = now
        self._connecting = asyncio.create_task(self._connect_once(), name="connect to Kafka anew")
        self._connecting.add_done_callback(_tell)

    async def _connect(self) -> None:
        async for attempt in stamina.retry_context(
            on=Exception,  # whatever it is, nobody else would try again
            attempts=None,
            timeout=None,
            wait_initial=0.2,
            wait_max=5.0,
        ):
            with attempt:
                try:
                    await self._connect_once()
                except BrokerUnavailableError:  # who raises it has told
                    raise
                except Exception as error:  # raised again: each failure is told
                    why = str(error) or type(error).__name__
                    log.warning("cannot connect to the brokers at %s, trying again: %s", self._servers, why)
                    raise

    async def _connect_once(self) -> None:
        self._partitions = await self._find_partitions()
        producer = AIOKafkaProducer(
            bootstrap_servers=self._servers,
            client_id="leadstream-collector",
            acks="all",
            linger_ms=LINGER_MS,
            max_batch_size=MAX_BATCH_BYTES,
            max_request_size=MAX_RECORD_BYTES,
            # A batch that waited so long is given up: before our deadline, because the client's error says more.
            request_timeout_ms=int(self._deadline_seconds * 800),
            **self._connection,
        )
        try:
            await producer.start()
        except BaseException:  # raised again; a cancelled start must leave no half-open producer, either
            await producer.stop()
            raise
        before, self._producer = self._producer, producer
        log.info("connected to Kafka at %s", self._servers)
        if before is not None:
            await _stopped(before)


async def _stopped(producer: AIOKafkaProducer) -> None:
    """Its own tasks may have failed with anything, or wait for one that has."""
    try:
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await producer.stop()
        except TimeoutError:
            log.warning("a connection to Kafka is ended with records that nobody waits for any more")
            await producer.client.close()
    except Exception as error:  # noqa: BLE001  # what its tasks failed with comes out of `stop`, and has been told
        log.warning("a connection to Kafka did not end well: %r", error)


def _tell(connecting: "asyncio.Task[None]") -> None:
    if not connecting.cancelled() and (error := connecting.exception()) is not None:
        log.warning("not connected to Kafka: %r", error)


def _advice(error: KafkaError) -> str:
    if isinstance(error, UnknownTopicOrPartitionError):
        return f"{error!r}: create the topics with: leadstream topics ensure"
    return repr(error)


def _retrieve(acknowledgement: asyncio.Future[Any]) -> None:
    """An error that nobody waits for any more was reported with the first one."""
    if not acknowledgement.cancelled():
        acknowledgement.exception()
