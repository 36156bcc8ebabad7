"""What an older build wrote is read by this one: schemas, log, changelog, outputs."""

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from processors.fold_partition import PartitionFold
from schemas.codec import decode, kind_of
from tests.processors.history import Logged
from tests.releases.compatibility import Schema, incompatibilities
from tests.releases.record import AVRO, HERE, history

RELEASES = sorted(path for path in HERE.iterdir() if (path / "log.jsonl").is_file())
RELEASE = pytest.mark.parametrize("release", RELEASES, ids=[path.name for path in RELEASES])


def read(path: Path) -> list[list[Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def unpacked(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text)


def log_of(release: Path) -> list[Logged]:
    records = read(release / "log.jsonl")
    return [Logged(offset, at, unpacked(key), unpacked(value)) for offset, (at, key, value) in enumerate(records)]


def rows_of(pairs: list[list[Any]]) -> PartitionFold:
    fold = PartitionFold("events", 0, 1)
    for key, value in pairs:
        fold.restore(unpacked(key) or b"", unpacked(value))
    fold.restored()
    return fold


def test_a_release_is_there() -> None:
    assert RELEASES


@RELEASE
def test_every_contract_reads_what_the_release_wrote(release: Path) -> None:
    for path in sorted((release / "avro").glob("*.avsc")):
        now = AVRO / path.name
        assert now.is_file(), f"{path.name} is gone; a new version is a new file beside it"
        assert incompatibilities(json.loads(path.read_text()), json.loads(now.read_text())) == [], path.name


@RELEASE
def test_this_build_goes_on_from_the_rows_of_the_release_and_tells_the_same(release: Path) -> None:
    log, outputs = log_of(release), read(release / "outputs.jsonl")
    live = rows_of(read(release / "changelog.jsonl"))
    start = live.next_offset
    assert start is not None
    assert 0 < start < len(log)
    told = [one for record in log[start:] for one in live.fold([record])]
    expected = [(kind, unpacked(key), unpacked(value)) for kind, key, value in outputs if kind != "LeadSnapshot"]
    assert [(one.kind, one.key, one.value) for one in told] == expected[len(expected) - len(told) :]
    assert sum(one.kind == "StageTransition" for one in told) >= 4
    finished = rows_of([*read(release / "changelog.jsonl"), *read(release / "rows.jsonl")])
    assert {key: live.rows.packed(key) for key in live.rows.all_keys()} == {
        key: finished.rows.packed(key) for key in finished.rows.all_keys()
    }


@RELEASE
def test_outputs_of_the_release_can_be_read(release: Path) -> None:
    for kind, _, value in read(release / "outputs.jsonl"):
        data = unpacked(value) or b""
        assert kind_of(data) == kind
        assert decode(data)[1]


def test_the_history_that_is_recorded_has_what_the_fold_meets() -> None:
    fold = PartitionFold("events", 0, 1)
    fold.fold(history())
    assert {"folded", "duplicate", "tick", "model", "epoch", "bad_json"} <= fold.outcomes.keys()


TEXT = {"name": "a", "type": "string"}


def record(*fields: Any) -> Schema:
    return {"type": "record", "name": "R", "fields": list(fields)}


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        (record(TEXT), record(TEXT), []),
        (record(TEXT), record(), []),
        (record(), record(TEXT), ["the record: a is new and has no default"]),
        (record(), record(TEXT | {"default": ""}), []),
        (record({"name": "a", "type": "int"}), record({"name": "a", "type": "long"}), []),
        (
            record({"name": "a", "type": "long"}),
            record({"name": "a", "type": "int"}),
            ["the record, a: long was written, int is read"],
        ),
        (record(TEXT), record({"name": "a", "type": ["null", "string"]}), []),
        (
            record({"name": "a", "type": ["null", "string"]}),
            record(TEXT),
            ["the record, a: null was written, string is read"],
        ),
        (
            record({"name": "a", "type": ["null", "long"]}),
            record({"name": "a", "type": ["null", "string"]}),
            ["the record, a: long is none of what is read"],
        ),
        (
            record({"name": "a", "type": {"type": "array", "items": "long"}}),
            record({"name": "a", "type": {"type": "array", "items": "string"}}),
            ["the record, a, its items: long was written, string is read"],
        ),
        (
            record({"name": "a", "type": ["null", record(TEXT)]}),
            record({"name": "a", "type": ["null", record({"name": "b", "type": "string"})]}),
            ["the record, a: R is none of what is read"],
        ),
    ],
)
def test_made_up_changes_are_judged_as_avro_does(old: Schema, new: Schema, found: list[str]) -> None:
    assert incompatibilities(old, new) == found
