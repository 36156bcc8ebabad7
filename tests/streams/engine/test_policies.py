"""Small decisions: pacing of fetches, ticks, the watchdog, settings."""

import ssl
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from schemas import codec
from streams.engine.pacing import Pacing
from streams.engine.partitions import Partition, Partitions
from streams.engine.settings import EngineSettings
from streams.engine.state import Output
from streams.engine.ticks import Ticker, tick_is_due
from streams.engine.verdict import FAILED_GRACE_SECONDS, Limits, Progress, Vitals, verdict
from streams.engine.worker import Worker
from streams.kafka.brokers import Security, UnsafeSettingsError
from streams.watchdog import Watchdog
from tests.streams.engine.doubles import CountingMetrics, FixedClock
from tests.streams.engine.toy import ToyState


@pytest.mark.parametrize(
    ("records", "elapsed", "expected"),
    [(1, 0.0, 0.01), (1, 0.004, 0.006), (1, 0.02, 0.0), (2_000, 0.0, 0.0), (1_999, 0.0, 0.01)],
)
def test_small_deliveries_are_spaced_and_a_full_one_is_followed_at_once(
    records: int, elapsed: float, expected: float
) -> None:
    pacing = Pacing(0.01, full=2_000)
    assert pacing.pause_seconds(5.0) == 0.0
    pacing.delivered(records, 5.0)
    assert pacing.pause_seconds(5.0 + elapsed) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("now", "wake", "backlogged", "due"),
    [
        (1_000, 999, False, True),
        (1_000, 1_000, False, False),
        (1_000, None, False, False),
        (1_000, 1, True, False),
    ],
)
def test_a_tick_is_due_when_the_clock_has_passed_the_wake_up(
    now: int, wake: int | None, backlogged: bool, due: bool
) -> None:
    assert tick_is_due(now, wake, backlogged=backlogged) is due


def test_the_tick_goes_to_its_partition_with_the_clock_as_its_time() -> None:
    state = ToyState("t", wake_after_ms=100)
    state._last_at_ms = 1_000
    partitions = Partitions(lambda _: pytest.fail("not an output"), CountingMetrics(), batch_records=10)
    partitions.own([Partition(3, 1, state, 0, 0, 0)])
    written: list[tuple[Output, int]] = []
    clock = FixedClock(1_100)
    ticker = Ticker(
        partitions, clock, lambda record, at: written.append((record, at)), CountingMetrics(), events_topic="events"
    )
    ticker.tick()
    assert written == []
    clock.at_ms = 1_101
    ticker.tick()
    assert written == [(Output("events", b"ctl", codec.encode("Tick", {}), 3), 1_101)]


NOW = 1_000.0


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (Vitals(), None),
        (Vitals(folding=Progress(1, NOW - 61)), "no record was folded for 61 s although there is work"),
        (Vitals(folding=Progress(1, NOW - 59)), None),
        (Vitals(checkpoints=Progress(1, NOW - 61)), "no checkpoint was completed for 61 s although there is work"),
        (Vitals(recovery=Progress(1, NOW - 61)), "recovery did not move for 61 s although there is work"),
        (Vitals(fetching=Progress(1, NOW - 61)), "no fetch was answered for 61 s although there is work"),
        (Vitals(rebalance=Progress(1, NOW - 89)), None),
        (Vitals(rebalance=Progress(1, NOW - 91)), "a rebalance did not end for 91 s although there is work"),
        (Vitals(joining=Progress(1, NOW - 89)), None),
        (Vitals(joining=Progress(1, NOW - 91)), "the group gave no partitions for 91 s although there is work"),
        (Vitals(failed_at=NOW - 1, failure="x"), None),
        (Vitals(failed_at=NOW - FAILED_GRACE_SECONDS - 1, failure="x"), "the worker failed but did not end: x"),
        (Vitals(stopping_at=NOW - 25), None),
        (
            Vitals(stopping_at=NOW - 31),
            "the worker did not stop within 20 s; what was not committed will be folded again",
        ),
    ],
)
def test_the_watchdog_ends_what_has_work_and_does_not_move(state: Vitals, reason: str | None) -> None:
    assert verdict(state, NOW, Limits(60, 20, 30)) == reason


@pytest.mark.parametrize("what", ["folding", "checkpoints", "recovery", "fetching", "rebalance", "joining"])
def test_nothing_stands_still_for_more_than_two_minutes(what: str) -> None:
    stuck_since = NOW - 120 - Watchdog.INTERVAL_SECONDS
    state = Vitals(**{what: Progress(1, stuck_since)})  # type: ignore[arg-type]  # a table of examples
    defaults: dict[str, Any] = {each.name: each.default for each in fields(EngineSettings)}
    limits = Limits(defaults["stall_seconds"], defaults["drain_seconds"], defaults["rebalance_timeout_seconds"])
    assert verdict(state, NOW, limits) is not None


def test_progress_is_stuck_only_while_there_is_work_and_no_change() -> None:
    progress = Progress()
    progress.update(1, work=False, now=1.0)
    assert progress.stuck_since is None
    progress.update(1, work=True, now=2.0)
    progress.update(1, work=True, now=3.0)
    assert progress.stuck_since == 2.0
    progress.update(2, work=True, now=4.0)
    assert progress.stuck_since == 4.0
    progress.update(2, work=False, now=5.0)
    assert progress.stuck_since is None


def test_a_password_never_goes_without_tls_and_is_never_printed() -> None:
    with pytest.raises(UnsafeSettingsError, match="turn TLS on"):
        Security(sasl_mechanism="PLAIN", username="u", password="hush")
    safe = Security(ssl.create_default_context(), "PLAIN", "u", "hush")
    assert "hush" not in repr(safe)
    assert safe.client_arguments()["security_protocol"] == "SASL_SSL"
    assert Security().client_arguments() == {}


def test_a_worker_is_not_ready_before_it_has_recovered() -> None:
    settings = EngineSettings("127.0.0.1:1", "events", "rows", ("transitions",))
    worker = Worker(settings, lambda _: ToyState("transitions"), FixedClock(), CountingMetrics())
    assert (worker.health()["alive"], worker.health()["ready"], worker.health()["partitions"]) == (True, False, {})
    worker.fail("no answer")
    worker.fail("and then more")
    assert (worker.health()["alive"], worker.health()["failure"]) == (False, "no answer")


def test_a_worker_without_a_group_is_watched_and_stops_when_the_group_is_lost_for_good() -> None:
    settings = EngineSettings("127.0.0.1:1", "events", "rows", ("transitions",))
    worker = Worker(settings, lambda _: ToyState("transitions"), FixedClock(), CountingMetrics())
    thread = SimpleNamespace(group_error=lambda: None)
    worker._app = SimpleNamespace(
        crashed=False, rebalancing=False, rebalancing_count=0, consumer=SimpleNamespace(thread=thread)
    )
    worker._look()
    assert worker._vitals.joining.stuck_since is None, "it has not begun to join"
    worker._joins = True
    worker._look()
    assert worker._vitals.joining.stuck_since is not None
    worker.partitions.own([])
    worker._look()
    assert worker._vitals.joining.stuck_since is None, "no partition is a share too"
    assert worker.health()["alive"]
    thread.group_error = lambda: RuntimeError("the task of the group has ended")
    worker._look()
    assert worker.health()["failure"] == "no member of group leadstream any more: the task of the group has ended"


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (KafkaConnectionError("no"), 3, "cannot reach a broker at 127.0.0.1:1: KafkaConnectionError"),
        (ConnectionResetError(), 3, "cannot reach a broker at 127.0.0.1:1: ConnectionResetError()"),
        (TimeoutError(), 3, "cannot reach a broker at 127.0.0.1:1: TimeoutError()"),
        (AttributeError("a bug"), 70, "cannot start: AttributeError('a bug')"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_only_a_broker_that_is_away_ends_the_start_with_3(error: Exception, code: int, told: str) -> None:
    settings = EngineSettings("127.0.0.1:1", "events", "rows", ("transitions",))
    worker = Worker(settings, lambda _: ToyState("transitions"), FixedClock(), CountingMetrics())

    async def start_producer() -> None:
        raise error

    worker._app = SimpleNamespace(maybe_start_producer=start_producer)
    assert await worker._start_or_fail() == code
    assert worker.health()["failure"].startswith(told)


async def test_partitions_without_rows_of_their_own_end_the_start_with_70(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = EngineSettings("127.0.0.1:1", "events", "rows", ("transitions",))
    worker = Worker(settings, lambda _: ToyState("transitions"), FixedClock(), CountingMetrics())

    async def counts(_: object) -> list[int]:
        return [4, 3, 4]

    async def start_producer() -> None: ...

    worker._app = SimpleNamespace(maybe_start_producer=start_producer)
    monkeypatch.setattr(worker._sender, "partition_counts", counts)
    assert await worker._start_or_fail() == 70
    assert worker.health()["failure"].startswith("events has 4 partitions, rows has 3: ")
