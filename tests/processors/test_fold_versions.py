"""A build that folds otherwise than the one before begins with it where a model is activated by it, also in a replay.

The made-up second version of the fold pays nothing for a page view.
"""

from collections.abc import Sequence
from typing import Any

import pytest

from processors import active_model, model_log
from processors.active_model import ActiveModel
from processors.fold_partition import PART_KEY, PartitionFold
from processors.match_rules import Match
from processors.model_log import OldFoldError
from processors.price import Price
from schemas.codec import decode, encode
from schemas.rows import unpack_part
from tests.processors.history import LEAD, History, Logged, model_record
from tests.processors.small_models import COUNTING

ACTIVATED_AT = 4  # offset: behind the epoch, the model of the older build and two views


class PaysNothing:
    def __init__(self, of: Any) -> None:
        self.event_fields = of.event_fields

    def match(self, *_: Any) -> Match:
        return Match((), foreign=False)


@pytest.fixture
def log() -> list[Logged]:
    """Of the older build until `ACTIVATED_AT`; then the newer one activates the same model, and two views come."""
    history = History(COUNTING)
    for day in (0.1, 0.2):
        history.act(day)
    history.activate(0.3, COUNTING, 2)
    for day in (0.4, 0.5):
        history.act(day)
    return [
        Logged(each.offset, each.timestamp, each.key, newer(each.value) if each.offset == ACTIVATED_AT else each.value)
        for each in history.log
    ]


def newer(record: bytes | None) -> bytes:
    return encode("ModelActivated", decode(record or b"")[1] | {"fold_version": 2})


@pytest.fixture
def second_fold(log: list[Logged], monkeypatch: pytest.MonkeyPatch) -> None:  # the log is the older build's
    original = ActiveModel.__init__

    def made(self: ActiveModel, *arguments: Any, fold_version: int, **named: Any) -> None:
        original(self, *arguments, fold_version=fold_version, **named)
        if fold_version >= 2:
            self.matcher = PaysNothing(self.matcher)  # type: ignore[assignment]  # it has what the fold asks for

    monkeypatch.setattr(ActiveModel, "__init__", made)
    for module in (active_model, model_log):
        monkeypatch.setattr(module, "FOLD_VERSION", 2)


def paid(fold: PartitionFold) -> float:
    """A view is a point that never fades."""
    opened, active = fold.rows.read(LEAD), fold.models.newest
    assert opened is not None
    assert active is not None
    return Price(opened.row, active, active.at).score


def restored(changelog: Sequence[tuple[bytes, bytes | None]]) -> PartitionFold:
    fold = PartitionFold("events", 0, 1)
    for key, value in changelog:
        fold.restore(key, value)
    fold.restored()
    return fold


@pytest.mark.usefixtures("second_fold")
@pytest.mark.parametrize("committed", [None, 2, 3, 4, 5, 6])
def test_what_lies_before_the_activation_is_folded_as_before_wherever_the_replay_begins(
    log: list[Logged], committed: int | None
) -> None:
    fold = PartitionFold("events", 0, 1)
    if committed is not None:
        fold.fold(log[:committed])
        fold = restored(fold.take_checkpoint(committed))
    fold.fold(log[committed or 0 :])
    assert fold.outcomes["bad_model"] == 0
    assert paid(fold) == 2


@pytest.mark.usefixtures("second_fold")
def test_without_an_activation_the_newer_build_folds_as_the_older(log: list[Logged]) -> None:
    fold = PartitionFold("events", 0, 1)
    fold.fold([each for each in log if each.offset != ACTIVATED_AT])
    assert paid(fold) == 4


@pytest.mark.usefixtures("second_fold")
def test_records_before_the_first_model_are_folded_as_by_the_build_that_activated_it() -> None:
    history = History(COUNTING)
    history.act(0.1)
    record: Any = decode(newer(model_record(COUNTING)))[1]
    fold = PartitionFold("events", 0, 1, first_model=(record, history.at(1)))
    fold.fold([history.log[0], history.log[2]])
    assert paid(fold) == 0


def test_the_older_build_refuses_the_log_and_the_rows_of_the_newer_one(
    log: list[Logged], request: pytest.FixtureRequest
) -> None:
    older = PartitionFold("events", 0, 1)
    with pytest.raises(
        OldFoldError, match=r"events/0/4: model small \(activation 2\) is for fold version 2, this build has 1"
    ):
        older.fold(log)

    request.getfixturevalue("second_fold")
    fold = PartitionFold("events", 0, 1)
    fold.fold(log)
    changelog = fold.take_checkpoint(len(log))
    assert unpack_part(dict(changelog)[PART_KEY] or b"").models[-1].n == 2
    request.getfixturevalue("monkeypatch").undo()
    with pytest.raises(OldFoldError, match="Upgrade leadstream"):
        restored(changelog)
    with pytest.raises(OldFoldError, match="Upgrade leadstream"):
        PartitionFold("events", 0, 1, first_model=(decode(log[ACTIVATED_AT].value or b"")[1], 0))  # type: ignore[arg-type]  # a plain dict
