"""Thousands of seeded runs of workers on a simulated Kafka: whatever fails, rows and outputs are those of one quiet fold."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from processors.row_store import RowStore
from streams.engine.checkpoint import Checkpoint
from streams.engine.effects import KafkaEffects
from streams.engine.sender import Sender
from streams.engine.worker import Worker
from tests.simulator.play import failed, play
from tests.simulator.schedule import Faults

BLOCKS, BLOCK = 10, 250


@pytest.mark.parametrize("block", range(BLOCKS))
def test_whatever_fails_nothing_is_lost_and_nothing_counts_twice(block: int) -> None:
    broken = failed(range(block * BLOCK, (block + 1) * BLOCK))
    assert not broken, "\n".join(
        f"python -m tests.simulator {seed}  # prints the schedule: {lines[0]}" for seed, lines in broken.items()
    )


@pytest.mark.parametrize("seed", [1, 7, 54, 245])
def test_a_seed_always_gives_the_same_schedule(seed: int) -> None:
    assert play(seed)[0].trace == play(seed)[0].trace


def test_the_runs_meet_every_fault_and_get_through_much_work() -> None:
    """Else the promise above would be easy to keep."""
    runs = [play(seed)[0] for seed in range(100)]
    steps = "\n".join(line for run in runs for line in run.trace)
    for fault in (
        "SIGKILL",
        "SIGTERM",
        "paused",
        "refused",
        "answer lost",
        "written twice",
        "a deadline passes",
        "session of",
    ):
        assert steps.count(fault) >= 10, fault
    assert "another worker writes to it" in steps
    assert sum(len(log) for run in runs for log in run.world.log.values()) > 5_000
    assert sum(len(records) for run in runs for records in run.world.outputs.values()) > 3_000


# --- does it bite? each of these switches one protection off ---


def _last_row_wins(self: RowStore, key: bytes, data: bytes | None) -> None:
    self._packed.pop(key, None)
    if data is not None:
        self._packed[key] = data


async def _confirms_nothing(self: KafkaEffects, outputs: Sequence[Any]) -> None: ...


async def _revokes_without_checkpoint(self: Worker) -> None:
    if self._recovering is not None:
        self._recovering.cancel()
    self.partitions.drop()


def _ignores_failed_sends(self: Sender, waiting: Sequence["asyncio.Future[None]"], reason: str) -> None:
    """As a stock Faust worker does."""
    for sent in waiting:
        if not sent.done():
            sent.set_result(None)


async def _commits_before_outputs(self: Checkpoint) -> bool:
    return await _checkpoint_in_order(self, "rows", "commit", "outputs")


async def _commits_before_rows(self: Checkpoint) -> bool:
    return await _checkpoint_in_order(self, "outputs", "commit", "rows")


async def _checkpoint_in_order(self: Checkpoint, *steps: str) -> bool:
    cuts = self._cut()
    if not cuts:
        return False
    for step in steps:
        if step == "outputs":
            await self._effects.confirm([sent for cut in cuts for sent in cut.outputs])
        if step == "rows":
            for cut in cuts:
                await self._write(cut.partition, cut.records)
        if step == "commit":
            offsets = {cut.partition.number: cut.next_offset for cut in cuts}
            if not await self._effects.commit(offsets, cuts[0].partition.generation):
                self._lose("rebalanced")
                return False
    for cut in cuts:
        cut.partition.committed_offset = cut.next_offset
    return True


@pytest.mark.parametrize(
    ("owner", "name", "broken", "harm"),
    [
        (RowStore, "restore", _last_row_wins, r"the row of .* differs"),
        (KafkaEffects, "confirm", _confirms_nothing, r"StageTransition \w+ is missing"),
        (Worker, "revoke", _revokes_without_checkpoint, r"a StageTransition was sent twice although nobody failed"),
        (Sender, "_fail", _ignores_failed_sends, r"StageTransition \w+ is missing"),
        (Checkpoint, "_run_once", _commits_before_outputs, r"StageTransition \w+ is missing"),
        # Nothing is lost even so: the next worker sees it, and refuses.
        (Checkpoint, "_run_once", _commits_before_rows, r"is committed, but the changelog has no `part` record"),
    ],
    ids=[
        "row versions",
        "confirmed outputs",
        "checkpoint at revocation",
        "fail-stop",
        "outputs before the commit",
        "rows before the commit",
    ],
)
def test_without_a_protection_some_run_fails(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, broken: Callable[..., Any], harm: str
) -> None:
    """By just the harm that the protection is there to prevent: a run that fails in another way shows nothing."""
    monkeypatch.setattr(owner, name, broken)
    assert any(lines and re.search(harm, "\n".join([*run.trace, *lines])) for run, lines in map(play, range(500)))


def test_a_checkpoint_in_the_right_order_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    """So what the two above do comes of the order, not of what else they leave out."""

    async def in_order(self: Checkpoint) -> bool:
        return await _checkpoint_in_order(self, "outputs", "rows", "commit")

    monkeypatch.setattr(Checkpoint, "_run_once", in_order)
    runs = [play(seed) for seed in range(500)]
    assert not [lines for run, lines in runs if re.search("is missing|is committed", "\n".join([*run.trace, *lines]))]


def test_a_worker_that_is_merely_broken_does_none_of_these_harms(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise AttributeError("renamed")

    monkeypatch.setattr(Checkpoint, "_run_once", fails)
    run, lines = play(0)
    assert lines
    assert not re.search("differs|is missing|twice|is committed", "\n".join([*run.trace, *lines]))


def test_without_faults_a_run_folds_and_sends_everything_once() -> None:
    runs = [play(seed, Faults()) for seed in range(50)]
    assert [broken for _, broken in runs if broken] == []
    assert sum(line.endswith("SIGTERM") for run, _ in runs for line in run.trace) >= 50


def test_a_seed_plays_the_same_run_in_another_process() -> None:
    once, again = (
        subprocess.run(
            [sys.executable, "-m", "tests.simulator", "7"], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    )
    assert once == again
    assert once.endswith("every promise was kept\n")
    assert len(once.splitlines()) > 100
