"""What must hold at the end of every run: the rows and outputs are those of one quiet fold of the log."""

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import Any

from processors.fold_partition import PartitionFold
from processors.outbox import Sent
from schemas.codec import decode
from schemas.rows import Row
from tests.simulator.schedule import Run
from tests.simulator.worker import TOPICS
from tests.simulator.world import World


def broken_promises(run: Run) -> list[str]:
    """One line each; empty if all was kept."""
    found = list(run.world.broken)
    for number in range(run.world.partitions):
        found += _of_partition(run, number)
    return found


def _of_partition(run: Run, number: int) -> Iterator[str]:
    world = run.world
    replay = PartitionFold("events", number, world.partitions)
    sent = list(chain.from_iterable(replay.fold([record]) for record in world.log[number]))
    live = _restored(world, number)
    if live.next_offset != len(world.log[number]):
        yield f"partition {number}: the changelog stands at {live.next_offset}, the log ends at {len(world.log[number])}"
    yield from _compare_rows(number, live, replay)
    for kind in ("StageTransition", "DeadLetter"):
        yield from _compare_records(world, number, kind, sent, repeats_allowed=not run.faults.none)
    yield from _compare_snapshots(world, number, replay)


def _restored(world: World, number: int) -> PartitionFold:
    fold = PartitionFold("events", number, world.partitions)
    for record in world.changelog[number]:
        fold.restore(record.key or b"", record.value)
    fold.restored()
    return fold


def _rows(fold: PartitionFold) -> dict[bytes, tuple[Any, Row]]:
    opened = {key: fold.rows.read(key) for key in fold.rows.all_keys()}
    return {key: (row.version, row.row) for key, row in opened.items() if row is not None}


def _compare_rows(number: int, live: PartitionFold, replay: PartitionFold) -> Iterator[str]:
    here, there = _rows(live), _rows(replay)
    for key in sorted(here.keys() | there.keys()):
        if here.get(key) != there.get(key):
            versions = [rows[key][0] if key in rows else None for rows in (here, there)]
            yield f"partition {number}: the row of {key!r} differs; versions {versions[0]} live, {versions[1]} replayed"


def _compare_records(world: World, number: int, kind: Any, sent: list[Sent], *, repeats_allowed: bool) -> Iterator[str]:
    expected = {_id(one.value): one.value for one in sent if one.kind == kind}
    records = [value for _, value in world.outputs[TOPICS[kind], number]]
    times = Counter(_id(value) for value in records)
    for missing in expected.keys() - times.keys():
        yield f"partition {number}: {kind} {missing} is missing"
    for value in records:
        if expected.get(_id(value)) != value:
            yield f"partition {number}: {kind} {_id(value)} has other bytes than in the replay, or is not in it"
    if not repeats_allowed and any(count > 1 for count in times.values()):
        yield f"partition {number}: a {kind} was sent twice although nobody failed"


def _id(value: bytes | None) -> str:
    return str(decode(value or b"")[1]["id"])


def _compare_snapshots(world: World, number: int, replay: PartitionFold) -> Iterator[str]:
    """Readers keep the highest version."""
    newest: dict[bytes, tuple[int, int]] = {}
    for key, value in world.outputs["scores", number]:
        kind, record = decode(value or b"")
        if kind == "LeadSnapshot":
            newest[key] = max(newest.get(key, (-1, -1)), (record["epoch"], record["offset"]))
    for key, (version, _) in _rows(replay).items():
        if newest.get(key) != version:
            yield f"partition {number}: the newest score of {key!r} is of {newest.get(key)}, its row of {version}"
