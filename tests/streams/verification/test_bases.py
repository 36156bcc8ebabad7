"""Bases as files, without a broker."""

import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest

from processors.fold_partition import PartitionFold
from processors.model_log import model_activated
from schemas.codec import encode
from schemas.keys import CONTROL_KEY
from streams.engine.unreadable import Unreadable
from streams.verification.bases import KEPT, Base, BaseError, Bases, BaseWriter
from streams.verification.bounds import bounds_of
from streams.verification.live_rows import LiveRows
from tests.bench.traffic import START_MS, BenchRecord, records
from tests.streams.scored_log import SITE

PARTITIONS = 2
EVENTS = "leadstream.events.v1"
DAY_MS = 86_400_000


def folded() -> LiveRows:
    """The rows of some acts."""
    fold = PartitionFold(EVENTS, 0, 1)
    first = [encode("Epoch", {"epoch": 1}), encode("ModelActivated", model_activated(SITE, 1))]
    fold.fold([BenchRecord(offset, START_MS, CONTROL_KEY, value) for offset, value in enumerate(first)])
    acts = records(40, 5, 1.0)
    fold.fold([BenchRecord(2 + place, act.timestamp, act.key, act.value) for place, act in enumerate(acts)])
    models = dict(record for record in fold.take_checkpoint(2 + len(acts)) if record[0].startswith(b"00model/"))
    return LiveRows(
        fold.rows,
        bounds_of(fold),
        {key: value for key, value in models.items() if value} | fold.own_row(),
        Unreadable(),
    )


@pytest.fixture
def bases(tmp_path: Path) -> Bases:
    return Bases(tmp_path / "bases", EVENTS, PARTITIONS)


def fill(save: BaseWriter) -> None:
    for number in range(PARTITIONS):
        save.add(number, folded(), transitions_from=10 + number)


def make(bases: Bases, now_ms: int) -> Base:
    with bases.begin(now_ms) as save:
        fill(save)
        save.keep(trusted_at_ms=None)
    base = bases.newest()
    assert base is not None
    return base


def restored(base: Base, number: int, only: set[bytes] | None = None) -> tuple[PartitionFold, int]:
    fold = PartitionFold(EVENTS, 0, 1)
    return fold, base.restore(number, fold, only)


def test_what_was_saved_is_restored(bases: Bases) -> None:
    base = make(bases, 5_000)
    saved = folded().rows
    fold, transitions_from = restored(base, 1)
    assert (base.taken_at_ms, base.trusted_at_ms, base.folded_to) == (5_000, None, {0: 42, 1: 42})
    assert (transitions_from, fold.next_offset, fold.epoch) == (11, 42, 1)
    assert fold.models.newest is not None
    assert {key: fold.rows.packed(key) for key in fold.rows.all_keys()} == {
        key: saved.packed(key) for key in saved.all_keys()
    }
    assert len(saved) == 5


def test_some_leads_are_restored_alone(bases: Bases) -> None:
    base = make(bases, 5_000)
    lead = folded().rows.all_keys()[0]
    fold, _ = restored(base, 0, {lead})
    assert fold.rows.all_keys() == [lead]
    assert fold.next_offset == 42


def test_a_base_that_is_not_kept_leaves_nothing(bases: Bases) -> None:
    with bases.begin(1) as save:
        fill(save)
    with suppress(ConnectionError), bases.begin(2) as save:
        fill(save)
        raise ConnectionError("the broker went away")
    assert bases.newest() is None
    assert list(bases.directory.iterdir()) == []


def test_a_week_of_bases_is_kept_for_their_owner_alone(bases: Bases) -> None:
    for day in range(1, KEPT + 3):
        make(bases, day * DAY_MS)
    paths = sorted(bases.directory.iterdir())
    assert len(paths) == KEPT
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o600}
    newest = bases.newest()
    assert newest is not None
    assert (newest.taken_at_ms, newest.path) == ((KEPT + 2) * DAY_MS, paths[-1])


def test_many_bases_of_one_day_leave_those_of_the_days_before(bases: Bases) -> None:
    for day in range(1, KEPT + 1):
        make(bases, day * DAY_MS)
    for rerun in range(1, KEPT + 1):
        newest = make(bases, KEPT * DAY_MS + rerun)
    assert newest.taken_at_ms == KEPT * DAY_MS + KEPT
    paths = sorted(bases.directory.iterdir())
    assert len(paths) == KEPT
    assert (bases.newest(DAY_MS), paths[-1]) == (bases._open(paths[0]), newest.path)


@pytest.mark.parametrize(("not_after_days", "day"), [(None, 3), (2.999, 2), (2, 2), (0.999, None)])
def test_the_newest_that_is_old_enough_is_found(bases: Bases, not_after_days: float | None, day: int | None) -> None:
    for number in (1, 2, 3):
        make(bases, number * DAY_MS)
    found = bases.newest(None if not_after_days is None else round(not_after_days * DAY_MS))
    assert (None if found is None else found.taken_at_ms) == (None if day is None else day * DAY_MS)


def test_a_damaged_base_is_not_in_the_way_of_an_older_one(bases: Bases) -> None:
    make(bases, DAY_MS)
    make(bases, 2 * DAY_MS).path.write_bytes(b"not a database at all")
    older = bases.newest(2 * DAY_MS - 1)
    assert older is not None
    assert older.taken_at_ms == DAY_MS
    with pytest.raises(BaseError, match="cannot be used as a base"):
        bases.newest()


KILLED = """
import os, signal, sys
from pathlib import Path
from streams.verification.bases import Bases
from tests.streams.verification.test_bases import fill
with Bases(Path(sys.argv[1]), "x", 2).begin(1) as save:
    fill(save)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_removed_when_the_next_begins(bases: Bases) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(bases.directory)], check=False, timeout=60)
    [left] = bases.directory.iterdir()  # no journal: pages of rows would stand in it, too
    assert left.suffix == ".draft"
    left.with_suffix(".draft-journal").write_bytes(b"as a release before this one left it")
    (bases.directory / "offer.draft.txt").write_text("somebody else's")
    base = make(bases, 5_000)
    assert sorted(path.name for path in bases.directory.iterdir()) == [base.path.name, "offer.draft.txt"]


def test_a_base_that_another_verification_removed_is_no_damage(bases: Bases) -> None:
    base = make(bases, 5_000)
    base.path.unlink()
    with pytest.raises(BaseError, match=r"was removed by another verification, .*: run it again"):
        restored(base, 0)


def test_two_do_not_use_a_directory_at_the_same_time(bases: Bases) -> None:
    """Else the one that ends first would remove the base which the other reads."""
    with bases.begin(1) as save:
        fill(save)
        with pytest.raises(BaseError, match=r"another verification uses .*: wait until"), bases.begin(2):
            pass
        save.keep(trusted_at_ms=None)
    assert [path.name for path in bases.directory.iterdir()] == ["19700101T000000.001000.base"]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE record SET value = value || x'00' WHERE key = '1'",
        "DELETE FROM record WHERE number = 0 AND key = (SELECT max(key) FROM record)",
        "UPDATE record SET key = x'3161' WHERE number = 0 AND key = (SELECT max(key) FROM record)",
        "DELETE FROM part WHERE number = 0",
    ],
)
def test_other_bytes_than_were_written_are_found_and_named(bases: Bases, change: str) -> None:
    base = make(bases, 5_000)
    lead = folded().rows.all_keys()[0]
    with closing(sqlite3.connect(base.path)) as connection, connection:
        connection.execute("UPDATE record SET value = value WHERE key = ?", (lead,))
        connection.execute(change.replace("'1'", f"x'{lead.hex()}'"))
    with pytest.raises(BaseError, match=rf"{base.path.name} cannot be used as a base .*: delete it"):
        restored(base, 0)


@pytest.mark.parametrize("content", [b"", b"not a database at all", b"SQLite format 3\0" + bytes(200)])
def test_a_file_that_is_no_base_is_named(bases: Bases, content: bytes) -> None:
    path = make(bases, 5_000).path
    path.write_bytes(content)
    with pytest.raises(BaseError, match=f"{path.name} cannot be used as a base"):
        bases.newest()


def test_a_base_of_another_format_is_named(bases: Bases) -> None:
    path = make(bases, 5_000).path
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA user_version = 9")
    with pytest.raises(BaseError, match="its format is 9, this build reads 1"):
        bases.newest()


@pytest.mark.parametrize(("events", "partitions"), [("eu.leadstream.events.v1", PARTITIONS), (EVENTS, 12)])
def test_a_base_of_other_topics_is_refused(bases: Bases, events: str, partitions: int) -> None:
    make(bases, 5_000)
    with pytest.raises(BaseError, match=rf"is a base of {EVENTS} with 2 partitions, not of {events} with {partitions}"):
        Bases(bases.directory, events, partitions).newest()


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    bases = Bases(tmp_path / "file", EVENTS, PARTITIONS)
    with pytest.raises(BaseError, match=r"file cannot be written .*: name another"), bases.begin(1):
        pass
