"""Whatever stands on the events topic, the fold goes on: each record is folded or kept whole, and rows can be read again."""

import contextlib
import zlib
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processors.fold_partition import PartitionFold
from processors.model_log import (
    MAX_MODEL_BYTES,
    ModelRecordError,
    OldFoldError,
    pack_model,
    read_model_record,
    unpack_model,
)
from processors.models import load_shipped
from schemas.codec import HEADER_BYTES, PREFIXES, SCHEMAS, Kind, decode, encode
from schemas.keys import CONTROL_KEY
from tests.processors.history import LEAD, Logged, model_record
from tests.schemas.test_codec import varint
from tests.schemas.test_encoding import values

START_MS = 1_772_442_000_000
MODEL = load_shipped("reference")


def written(kind: Kind) -> st.SearchStrategy[bytes]:
    def of_this_kind(record: dict[str, Any]) -> bytes:
        return encode(kind, record)

    return values(SCHEMAS[kind], {}).map(of_this_kind)


KINDS: Sequence[Kind] = ("TrackedEvent", "Feedback", "ImportedLine", "Tick", "ModelActivated", "DeadLetter")
EPOCHS = st.integers(-(2**63), 2**63 - 1).map(lambda number: PREFIXES["Epoch"] + varint(number))
VALID = st.one_of([*map(written, KINDS), EPOCHS])


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = draw(VALID)
    at = draw(st.integers(HEADER_BYTES, max(HEADER_BYTES, len(data) - 1)))
    patch = draw(st.binary(max_size=4) | st.sampled_from([varint(2**62), varint(-(2**40))]))
    return data[:at] + patch + data[at + draw(st.integers(0, 3)) :]


KEYS = st.sampled_from([LEAD, b"1eve", CONTROL_KEY, b"\xff", None])
RECORDS = st.lists(st.tuples(KEYS, VALID | damaged() | st.binary(max_size=40)), max_size=6)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(RECORDS)
def test_no_record_stops_the_fold_or_spoils_a_row(records: list[tuple[bytes | None, bytes]]) -> None:
    fold = PartitionFold("events", 0, 1)
    log = [Logged(0, START_MS, CONTROL_KEY, model_record(MODEL))]
    log += [Logged(offset, START_MS + offset, key, value) for offset, (key, value) in enumerate(records, 1)]
    try:
        sent = fold.fold(log)
    except OldFoldError:  # a model for a newer build: it stops on purpose
        return
    assert sum(fold.outcomes.values()) == len(log)
    letters = [decode(one.value or b"")[1] for one in sent if one.kind == "DeadLetter"]
    assert all(letter["value"] == log[letter["offset"]].value for letter in letters)
    fold.take_snapshots()
    other = PartitionFold("events", 0, 1)
    for key, value in fold.take_checkpoint(len(log)):
        other.restore(key, value)
    other.restored()
    assert (other.epoch, other.next_offset) == (fold.epoch, len(log))


@pytest.mark.parametrize("epoch", [2**31, 2**32, 2**62])
def test_an_epoch_that_no_row_could_hold_is_refused(epoch: int) -> None:
    fold = PartitionFold("events", 0, 1)
    fold.fold([Logged(0, START_MS, CONTROL_KEY, PREFIXES["Epoch"] + varint(epoch))])
    assert (fold.epoch, fold.outcomes["bad_avro"]) == (0, 1)


@given(st.binary(max_size=200), st.integers(0, 4_000), st.integers(0, 4))
def test_a_damaged_model_record_is_read_or_refused(patch: bytes, at: int, length: int) -> None:
    body = pack_model(MODEL)
    for data in (patch, zlib.compress(patch), body[:at] + patch + body[at + length :]):
        with contextlib.suppress(ModelRecordError):
            read_model_record(data)


def test_a_model_that_unpacks_without_end_is_given_up_at_the_bound() -> None:
    with pytest.raises(ModelRecordError, match="over 1 MiB"):
        unpack_model(zlib.compress(b" " * (MAX_MODEL_BYTES + 1)))
