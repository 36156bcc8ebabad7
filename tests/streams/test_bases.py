"""Bases as files, without a broker."""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

from processors.fold_partition import PartitionFold
from processors.model_log import model_activated
from schemas.codec import encode
from schemas.keys import CONTROL_KEY
from streams.bases import KEPT, Base, BaseError, Bases, BaseWriter
from streams.bounds import bounds_of
from streams.live_rows import LiveRows
from tests.bench.traffic import START_MS, BenchRecord, records
from tests.streams.scored_log import SITE

PARTITIONS = 2
EVENTS = "leadstream.events.v1"


def folded() -> LiveRows:
    """The rows of some acts."""
    fold = PartitionFold(EVENTS, 0, 1)
    first = [encode("Epoch", {"epoch": 1}), encode("ModelActivated", model_activated(SITE, 1))]
    fold.fold([BenchRecord(offset, START_MS, CONTROL_KEY, value) for offset, value in enumerate(first)])
    acts = records(40, 5, 1.0)
    fold.fold([BenchRecord(2 + place, act.timestamp, act.key, act.value) for place, act in enumerate(acts)])
    models = dict(record for record in fold.take_checkpoint(2 + len(acts)) if record[0].startswith(b"00model/"))
    return LiveRows(
        fold.rows, bounds_of(fold), {key: value for key, value in models.items() if value} | fold.own_row(), {}
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
    for now_ms in range(1, KEPT + 3):
        make(bases, now_ms)
    paths = sorted(bases.directory.iterdir())
    assert len(paths) == KEPT
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o600}
    newest = bases.newest()
    assert newest is not None
    assert (newest.taken_at_ms, newest.path) == (KEPT + 2, paths[-1])


@pytest.mark.parametrize(("not_after_ms", "taken_at_ms"), [(None, 3_000), (2_999, 2_000), (2_000, 2_000), (999, None)])
def test_the_newest_that_is_old_enough_is_found(
    bases: Bases, not_after_ms: int | None, taken_at_ms: int | None
) -> None:
    for now_ms in (1_000, 2_000, 3_000):
        make(bases, now_ms)
    found = bases.newest(not_after_ms)
    assert (None if found is None else found.taken_at_ms) == taken_at_ms


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
    with pytest.raises(BaseError, match=r"file/.* cannot be written"), bases.begin(1):
        pass
