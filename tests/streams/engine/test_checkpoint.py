import asyncio
from collections.abc import Mapping, Sequence

import pytest

from streams.engine.checkpoint import IDLE_SECONDS, Checkpoint
from streams.engine.partitions import Batch, Partition, Partitions
from streams.engine.state import Output
from tests.streams.engine.doubles import CountingMetrics, Record
from tests.streams.engine.toy import OFFSET, PART, ROW, ToyState


class World:
    """`Effects` that writes down what happens, and fails or waits where it is told to."""

    def __init__(self) -> None:
        self.done: list[object] = []
        self.fail_at: str | None = None
        self.member = True
        self.commits = True
        self.changelog: dict[int, list[tuple[bytes, bytes | None]]] = {}
        self.gap = 0
        self.gate: asyncio.Event | None = None
        self.entered = asyncio.Event()

    def _step(self, name: str) -> None:
        if self.fail_at == name:
            raise OSError(f"{name} broke")

    async def confirm(self, outputs: Sequence[asyncio.Future[None]]) -> None:
        self.entered.set()
        if self.gate is not None:
            await self.gate.wait()
        self._step("confirm")
        self.done.append(("confirm", len(outputs)))

    async def is_member(self, generation: int) -> bool:
        self._step("is_member")
        self.done.append(("is_member", generation))
        return self.member

    async def write_changelog(
        self, partition: int, records: Sequence[tuple[bytes, bytes | None]]
    ) -> list[tuple[int, int]]:
        if not records:
            return []
        self._step("part" if records[0][0] == PART else "rows")
        log = self.changelog.setdefault(partition, [])
        base = len(log) + self.gap
        log.extend(records)
        self.done.append(("write", partition, [key for key, _ in records]))
        return [(base, len(records))]

    async def commit(self, offsets: Mapping[int, int], generation: int) -> bool:
        self._step("commit")
        self.done.append(("commit", dict(offsets), generation))
        return self.commits

    def rejoin(self, reason: str) -> None:
        self.done.append(("rejoin", reason))


class Setup:
    def __init__(self) -> None:
        self.world = World()
        self.sent: list[Output] = []
        self.failures: list[str] = []
        self.partitions = Partitions(self._send, CountingMetrics(), batch_records=100)
        self.checkpoint = Checkpoint(self.partitions, self.world, CountingMetrics(), on_failure=self.failures.append)
        self.partition = self.own(0)

    def _send(self, outputs: Sequence[Output]) -> asyncio.Future[None]:
        self.sent += outputs
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        sent.set_result(None)
        return sent

    def own(self, *numbers: int) -> Partition:
        owned = [Partition(number, 7, ToyState("transitions"), 0, 0, 0) for number in numbers]
        self.partitions.own(owned)
        return owned[0]

    def fold(self, *offsets: int, key: bytes = b"1a", number: int = 0) -> None:
        partition = self.partitions.get(number)
        self.partitions.fold(Batch(partition, [Record(offset, key) for offset in offsets], offsets[0]))


async def test_each_effect_follows_the_confirmation_of_the_one_before() -> None:
    setup = Setup()
    setup.fold(*range(10))
    assert await setup.checkpoint.run()
    assert setup.world.done == [
        ("confirm", 1),
        ("is_member", 7),
        ("write", 0, [b"1a"]),
        ("write", 0, [PART]),
        ("commit", {0: 10}, 7),
    ]
    assert setup.world.changelog[0] == [(b"1a", ROW.pack(10, 9)), (PART, OFFSET.pack(10))]
    assert setup.partition.committed_offset == 10
    assert setup.partition.changelog_end == 2
    assert setup.failures == []


async def test_rows_of_all_partitions_come_before_any_part() -> None:
    setup = Setup()
    setup.own(0, 1)
    setup.fold(0, number=0)
    setup.fold(0, key=b"1b", number=1)
    await setup.checkpoint.run()
    writes = [each[2] for each in setup.world.done if isinstance(each, tuple) and each[0] == "write"]
    assert sorted(map(str, writes[:2])) == ["[b'1a']", "[b'1b']"]
    assert writes[2:] == [[PART], [PART]]


@pytest.mark.parametrize(
    ("step", "before"),
    [
        ("confirm", []),
        ("is_member", ["confirm"]),
        ("rows", ["confirm", "is_member"]),
        ("part", ["confirm", "is_member", "write"]),
        ("commit", ["confirm", "is_member", "write", "write"]),
    ],
)
async def test_after_a_failed_step_nothing_happens_any_more(step: str, before: list[str]) -> None:
    setup = Setup()
    setup.fold(0)
    setup.world.fail_at = step
    assert not await setup.checkpoint.run()
    names = [each[0] for each in setup.world.done if isinstance(each, tuple)]
    assert names == before
    assert setup.failures == [f"checkpoint failed: {step} broke"]
    setup.world.fail_at = None
    setup.fold(1)
    assert not await setup.checkpoint.run()
    assert [each[0] for each in setup.world.done if isinstance(each, tuple)] == before


async def test_a_worker_the_group_does_not_know_writes_nothing_and_drops_its_memory() -> None:
    setup = Setup()
    setup.fold(0)
    setup.world.member = False
    assert not await setup.checkpoint.run()
    assert [each[0] for each in setup.world.done if isinstance(each, tuple)] == ["confirm", "is_member", "rejoin"]
    assert setup.world.changelog == {}
    assert len(setup.partitions) == 0
    assert setup.failures == []


async def test_a_commit_refused_by_a_rebalance_drops_the_memory() -> None:
    setup = Setup()
    setup.fold(0)
    setup.world.commits = False
    assert not await setup.checkpoint.run()
    assert setup.partition.committed_offset == 0
    assert len(setup.partitions) == 0
    assert setup.failures == []


async def test_a_gap_in_the_changelog_is_another_writer_and_stops_before_the_commit() -> None:
    setup = Setup()
    setup.fold(0)
    setup.world.gap = 3
    assert not await setup.checkpoint.run()
    assert "got offset 3 where 0 was next" in setup.failures[0]
    assert "commit" not in [each[0] for each in setup.world.done if isinstance(each, tuple)]


async def test_nothing_new_means_no_effect() -> None:
    setup = Setup()
    setup.fold(0)
    await setup.checkpoint.run()
    setup.world.done.clear()
    assert not await setup.checkpoint.run()
    assert setup.world.done == []


async def test_where_nothing_happens_for_an_hour_another_writer_is_noticed_all_the_same() -> None:
    setup = Setup()
    setup.fold(0)
    await setup.checkpoint.run()
    setup.world.done.clear()
    setup.partition.cut_at -= IDLE_SECONDS
    assert await setup.checkpoint.run()
    assert setup.world.done[-2:] == [("write", 0, [PART]), ("commit", {0: 1}, 7)]
    assert not await setup.checkpoint.run(), "once"
    setup.partition.cut_at -= IDLE_SECONDS
    setup.world.changelog[0].append((b"1a", ROW.pack(0, 0)))  # of a worker that slept
    assert not await setup.checkpoint.run()
    assert "another worker writes to it" in setup.failures[0]


async def test_what_is_folded_during_a_checkpoint_belongs_to_the_next() -> None:
    setup = Setup()
    setup.fold(0)
    setup.world.gate = asyncio.Event()
    running = asyncio.create_task(setup.checkpoint.run())
    await setup.world.entered.wait()
    setup.fold(1, key=b"1b")
    setup.world.gate.set()
    await running
    assert setup.world.changelog[0] == [(b"1a", ROW.pack(1, 0)), (PART, OFFSET.pack(1))]
    assert setup.partition.committed_offset == 1
    await setup.checkpoint.run()
    assert setup.partition.committed_offset == 2


async def test_a_call_during_a_run_waits_and_runs_once_more() -> None:
    setup = Setup()
    setup.fold(0)
    setup.world.gate = asyncio.Event()
    first = asyncio.create_task(setup.checkpoint.run())
    await setup.world.entered.wait()
    setup.fold(1)
    second = asyncio.create_task(setup.checkpoint.run())  # such as Faust's commit on revocation
    setup.world.gate.set()
    assert await first
    assert await second
    commits = [each[1] for each in setup.world.done if isinstance(each, tuple) and each[0] == "commit"]
    assert commits == [{0: 1}, {0: 2}]


async def test_a_snapshot_held_back_by_a_backlog_leaves_with_the_checkpoint() -> None:
    setup = Setup()
    state = ToyState("transitions", "scores")
    partition = Partition(0, 7, state, 0, 0, 1_000)
    setup.partitions.own([partition])
    setup.fold(0)
    assert setup.sent == []
    await setup.checkpoint.run()
    assert [output.topic for output in setup.sent] == ["scores"]
    assert setup.world.done[0] == ("confirm", 1)
