"""One contract test per overridden hook: Faust still has it, calls it, and ours does what the README says."""

import asyncio
import dataclasses
import inspect
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import aiokafka
import faust
import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import SubscriptionState, TopicPartitionState
from aiokafka.errors import GroupAuthorizationFailedError
from faust.transport import conductor
from faust.transport.consumer import Consumer as FaustConsumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode.threads import ServiceThread

from streams.engine.app import EngineApp, make_app
from streams.engine.partitions import Batch, Partition, Partitions
from streams.engine.settings import EngineSettings
from streams.engine.transport import (
    BatchScheduler,
    BatchSchema,
    Consumer,
    ConsumerThread,
    DaemonThread,
    PausingListener,
    Producer,
    SilentMonitor,
    Transport,
)
from streams.kafka.brokers import Security
from tests.eventually import eventually
from tests.streams.engine.cluster import engine_settings
from tests.streams.engine.doubles import CountingMetrics, Record
from tests.streams.engine.toy import ToyState

EVENTS = TP("x.events", 0)


@dataclass
class FakeOwner:
    settings: EngineSettings
    partitions: Partitions
    calls: list[str] = field(default_factory=list)

    async def checkpoint(self) -> bool:
        self.calls.append("checkpoint")
        return True

    async def revoke(self) -> None:
        self.calls.append("revoke")


@pytest.fixture
def owner() -> FakeOwner:
    def send(_: Sequence[Any]) -> asyncio.Future[None]:
        return asyncio.get_running_loop().create_future()

    settings = engine_settings("127.0.0.1:1", "x.", embedded=True, batch_records=123, fetch_wait_ms=77)
    return FakeOwner(settings, Partitions(send, CountingMetrics(), batch_records=123))


@pytest.fixture
async def app(owner: FakeOwner) -> AsyncIterator[Any]:
    async def nothing(*_: Any) -> None: ...

    app = make_app(owner.settings, owner, fold=nothing, on_assigned=nothing)
    yield app
    if app._consumer is not None:
        app._consumer._thread.thread_loop.close()


@pytest.fixture
def consumer(app: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    consumer = app.consumer
    monkeypatch.setattr(consumer._thread, "known_highwater", lambda _: 500)
    return consumer


def own(owner: FakeOwner, next_offset: int = 10) -> Partition:
    partition = Partition(0, 1, ToyState("t"), next_offset, 0, 0)
    owner.partitions.own([partition])
    return partition


def test_the_versions_are_the_ones_these_overrides_were_read_against() -> None:
    versions = [version(name) for name in ("faust-streaming", "mode-streaming", "aiokafka")]
    assert versions == ["0.15.3", "0.7.1", "0.14.0"]


@pytest.mark.parametrize(
    ("ours", "theirs", "name"),
    [
        (PausingListener, driver.ConsumerRebalanceListener, "on_partitions_assigned"),
        (ConsumerThread, driver.AIOKafkaConsumerThread, "_create_worker_consumer"),
        (ConsumerThread, driver.AIOKafkaConsumerThread, "getmany"),
        (Consumer, driver.Consumer, "_new_consumer_thread"),
        (Consumer, driver.Consumer, "_to_message"),
        (Consumer, FaustConsumer, "on_buffer_full"),
        (Consumer, FaustConsumer, "on_buffer_drop"),
        (Consumer, FaustConsumer, "perform_seek"),
        (Consumer, FaustConsumer, "commit"),
        (Consumer, FaustConsumer, "on_partitions_revoked"),
        (Consumer, driver.Consumer, "verify_event_path"),
        (Producer, driver.Producer, "_settings_extra"),
        (EngineApp, faust.App, "_create_directories"),
    ],
)
def test_each_override_has_the_parameters_of_what_it_replaces(ours: type, theirs: type, name: str) -> None:
    assert name in vars(ours)
    assert list(inspect.signature(getattr(ours, name)).parameters) == list(
        inspect.signature(getattr(theirs, name)).parameters
    )


@pytest.mark.parametrize(
    ("caller", "call"),
    [
        (FaustConsumer.getmany, "self.scheduler.iterate(records)"),
        (FaustConsumer.getmany, "to_message(tp, record)"),
        (FaustConsumer.getmany, "await self.perform_seek()"),
        (FaustConsumer._commit_handler.fun, "await self.commit()"),
        (FaustConsumer.on_stop, "await self.commit_and_end_transactions()"),
        (FaustConsumer.commit_and_end_transactions, "await self.commit("),
        (faust.tables.recovery.Recovery._resume_streams, "await app.on_rebalance_complete.send()"),
        (faust.tables.recovery.Recovery._resume_streams, "consumer.perform_seek()"),
        (faust.tables.recovery.Recovery._restart_recovery.fun, "except RebalanceAgain"),
        (driver.AIOKafkaConsumerThread.on_start, "self._create_consumer"),
        (aiokafka.AIOKafkaConsumer.start, "fetch_max_wait_ms=self._fetch_max_wait_ms"),
        (GroupCoordinator._on_join_complete, "listener.on_partitions_assigned"),
        (conductor.ConductorCompiler.build, "consumer_on_buffer_full = app.consumer.on_buffer_full"),
    ],
)
def test_faust_and_aiokafka_still_call_the_hooks_where_we_expect_it(caller: Any, call: str) -> None:
    assert call in inspect.getsource(caller)


def test_a_fetch_is_handed_out_as_one_list_per_partition() -> None:
    records = {EVENTS: [1, 2, 3], TP("x.events", 1): [4]}
    assert list(BatchScheduler().iterate(records)) == [(EVENTS, [1, 2, 3]), (TP("x.events", 1), [4])]


async def test_the_schema_passes_the_batch_through(app: Any) -> None:
    batch = Batch(None, [], 0)
    event = await BatchSchema().compile(app)(SimpleNamespace(value=batch), propagate=True)
    assert event.value is batch


async def test_the_app_is_composed_of_our_parts(app: Any) -> None:
    assert isinstance(app.transport, Transport)
    assert app.producer_transport is app.transport
    assert isinstance(app.consumer, Consumer)
    assert isinstance(app.consumer._thread, ConsumerThread)
    assert isinstance(app.producer, Producer)
    assert isinstance(app.monitor, SilentMonitor)
    assert app.conf.ConsumerScheduler is BatchScheduler
    assert app.consumer.RebalanceListener is PausingListener
    assert (app.conf.web_enabled, app.conf.topic_disable_leader, app.conf.table_standby_replicas) == (False, True, 0)
    assert app.conf.consumer_auto_offset_reset == "none"


async def test_faust_makes_no_directory(app: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    await app.on_first_start()
    assert list(tmp_path.iterdir()) == []


async def test_the_group_consumer_gets_our_fetch_wait_and_batch_size(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aiokafka, "AIOKafkaConsumer", SimpleNamespace)
    made = app.consumer._thread._create_worker_consumer(app.transport)
    assert made._fetch_max_wait_ms == 77
    assert made.max_poll_records == 123
    assert made.auto_offset_reset == "none"
    assert made.enable_auto_commit is False


async def test_tls_and_sasl_reach_the_clients(owner: FakeOwner) -> None:
    security = Security(ssl.create_default_context(), "SCRAM-SHA-512", "worker", "hush")
    secured = dataclasses.replace(owner.settings, security=security)

    async def nothing(*_: Any) -> None: ...

    app = make_app(secured, owner, fold=nothing, on_assigned=nothing)
    given = app.producer._settings_auth()
    expected = security.client_arguments()
    assert {name: given[name] for name in expected} == expected


def test_a_hanging_consumer_thread_does_not_hold_the_process() -> None:
    assert issubclass(ConsumerThread, ServiceThread)
    assert DaemonThread(SimpleNamespace()).daemon


async def test_a_message_is_a_batch_bound_to_its_assignment(consumer: Any, owner: FakeOwner) -> None:
    partition = own(owner)
    message = consumer._to_message(EVENTS, [Record(9), Record(10), Record(11)])
    assert (message.offset, message.tp) == (11, EVENTS)
    assert message.value.partition is partition
    assert [record.offset for record in message.value.records] == [10, 11]
    assert partition.highwater == 500


async def test_a_message_of_a_partition_without_memory_belongs_to_nobody(consumer: Any) -> None:
    assert consumer._to_message(EVENTS, [Record(9)]).value.partition is None


async def test_a_full_queue_does_not_pause_partitions_for_a_second(consumer: Any) -> None:
    consumer._set_active_tps({EVENTS})
    consumer.on_buffer_full(EVENTS)
    assert consumer._get_active_partitions() == {EVENTS}
    consumer.on_buffer_drop(EVENTS)


async def test_a_seek_goes_to_the_recovered_offsets(
    consumer: Any, owner: FakeOwner, monkeypatch: pytest.MonkeyPatch
) -> None:
    own(owner, next_offset=42)
    started: list[Any] = []

    async def start_at(offsets: Any) -> None:
        started.append(dict(offsets))

    monkeypatch.setattr(consumer._thread, "start_at", start_at)
    await consumer.perform_seek()
    assert started == [{EVENTS: 42}]


async def test_a_commit_is_a_checkpoint(consumer: Any, owner: FakeOwner) -> None:
    assert await consumer.commit()
    await consumer.commit_and_end_transactions()
    assert owner.calls == ["checkpoint", "checkpoint"]


async def test_before_partitions_are_given_up_the_flow_stops_and_everything_is_made_durable(
    consumer: Any, owner: FakeOwner, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    async def revoke() -> None:
        seen.append(("revoke", consumer.flow_active, consumer.app.flow_control.is_active()))

    async def theirs(self: Any, revoked: Any) -> None:
        seen.append(("faust", revoked))

    monkeypatch.setattr(owner, "revoke", revoke)
    monkeypatch.setattr(FaustConsumer, "on_partitions_revoked", theirs)
    consumer.resume_flow()
    consumer.app.flow_control.resume()
    await consumer.on_partitions_revoked({EVENTS})
    assert seen == [("revoke", False, False), ("faust", {EVENTS})]


async def test_the_livelock_detector_of_faust_is_silent(consumer: Any) -> None:
    assert consumer.verify_event_path(0.0, EVENTS) is None


@pytest.mark.parametrize("idempotence", [True, False])
async def test_the_producer_waits_for_all_replicas(app: Any, owner: FakeOwner, idempotence: bool) -> None:
    object.__setattr__(owner.settings, "idempotence", idempotence)
    assert app.producer._settings_extra() == {"acks": "all", "enable_idempotence": idempotence}


async def test_new_partitions_are_paused_before_faust_hears_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[Any] = []
    group = SimpleNamespace(
        pause=lambda tp: done.append(("pause", tp)), seek=lambda tp, offset: done.append(("seek", tp, offset))
    )

    async def theirs(self: Any, assigned: Any) -> None:
        done.append("faust")

    monkeypatch.setattr(driver.ConsumerRebalanceListener, "on_partitions_assigned", theirs)
    thread: Any = SimpleNamespace(_ensure_consumer=lambda: group)
    listener = PausingListener(thread)
    await listener.on_partitions_assigned([EVENTS])
    assert done == [("pause", EVENTS), ("seek", EVENTS, 0), "faust"]


def test_what_we_read_of_aiokafka_is_still_there() -> None:
    for name in ("_do_heartbeat", "ensure_coordinator_known", "request_rejoin"):
        assert callable(getattr(GroupCoordinator, name))
    state = inspect.getsource(TopicPartitionState.__init__)
    assert "self.highwater = " in state
    assert "self.timestamp = " in state


class Coordinator:
    """Answers heartbeats as told: a bool, or an error code's effect on the generation."""

    def __init__(self, *answers: bool, generation: int = 5) -> None:
        self.generation = generation
        self.rejoined = False
        self._answers = list(answers)

    async def ensure_coordinator_known(self) -> None: ...

    async def _do_heartbeat(self) -> bool:
        answer = self._answers.pop(0) if self._answers else False
        if not answer and not self._answers:
            self.generation = -1
        return answer

    def request_rejoin(self) -> None:
        self.rejoined = True


@pytest.mark.parametrize(
    ("answers", "asked", "member"),
    [((True,), 5, True), ((False, True), 5, True), ((False,), 5, False), ((True,), 4, False)],
)
async def test_membership_is_what_the_group_answers_now(
    consumer: Any, monkeypatch: pytest.MonkeyPatch, answers: tuple[bool, ...], asked: int, member: bool
) -> None:
    group = SimpleNamespace(_coordinator=Coordinator(*answers))
    monkeypatch.setattr(consumer._thread, "_ensure_consumer", lambda: group)
    assert await consumer._thread._is_member(asked, 5.0) is member


async def test_without_an_answer_in_time_the_worker_joins_again(consumer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    coordinator = Coordinator(*[False] * 1000)
    monkeypatch.setattr(consumer._thread, "_ensure_consumer", lambda: SimpleNamespace(_coordinator=coordinator))
    assert not await consumer._thread._is_member(5, 0.05)
    assert coordinator.rejoined


def coordination() -> tuple[GroupCoordinator, SubscriptionState]:
    """Of a client that knows no broker, as after the metadata of one that is just coming up."""
    subscription = SubscriptionState()
    subscription.register_fetch_waiters(set())
    return GroupCoordinator(AIOKafkaClient(bootstrap_servers="127.0.0.1:1"), subscription), subscription


async def test_a_coordination_that_has_ended_is_seen_also_without_a_fetch(
    consumer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert consumer._thread.group_error() is None, "it has not begun"
    coordinator, subscription = coordination()
    monkeypatch.setattr(consumer._thread, "_consumer", SimpleNamespace(_coordinator=coordinator))
    assert consumer._thread.group_error() is None, "nothing is subscribed yet"
    subscription.subscribe({"x.events"})
    await eventually(coordinator._coordination_task.done)
    assert "Did we not perform bootstrap?" in str(consumer._thread.group_error())


async def test_an_error_that_waits_for_a_fetch_is_seen_before_it(
    consumer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    coordinator, _ = coordination()
    monkeypatch.setattr(consumer._thread, "_consumer", SimpleNamespace(_coordinator=coordinator))
    pushing = asyncio.create_task(coordinator._push_error_to_user(GroupAuthorizationFailedError("x")))
    await eventually(lambda: consumer._thread.group_error() is not None)
    assert isinstance(consumer._thread.group_error(), GroupAuthorizationFailedError)
    await coordinator.close()
    await pushing
