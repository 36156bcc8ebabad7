"""A bug inside the fold: the row is as it was, the record is kept whole, the others go on."""

from typing import Any

import pytest

from processors import fold_lead, lead_rows, row_store
from processors.advance import advance, settle
from processors.row_store import RowTooLargeError
from schemas.codec import encode
from schemas.rows import Row
from tests.processors.history import LEAD, History, Logged
from tests.processors.small_models import COUNTING, STAGED

AVRO = encode("TrackedEvent", History(COUNTING).event(0, {"event": "page_view"}))


class BugError(RuntimeError):
    pass


@pytest.mark.parametrize("place", ["settle", "take_touch", "_count_visit"])
def test_a_failure_inside_the_fold_leaves_the_row_as_it_was(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    history, twin = History(STAGED), History(STAGED)
    for number, event in enumerate(("page_view", "demo", "webinar")):
        history.act(number, event=event)
        twin.act(number, event=event)
    told = len(history.sent)
    original = getattr(fold_lead, place)

    def broken(row: Row, *arguments: Any) -> Any:
        if row.now >= history.at(3):
            raise BugError("by intent")
        return original(row, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(fold_lead, place, broken)
        history.act(3, event="complaint")
    twin.event(3, {})  # ids and offsets stay in step with a log that lacks the record
    twin.log.append(history.log[-1])
    assert history.fold.rows.packed(LEAD) == twin.fold.rows.packed(LEAD)
    assert [(s.kind, s.key) for s in history.sent[told:]] == [("DeadLetter", LEAD)]
    assert history.letters[0]["reason"] == "fold_error"
    assert history.letters[0]["detail"] == "BugError: by intent"
    assert history.letters[0]["value"] == history.log[-1].value
    for each in (history, twin):
        each.act(4, event="demo")
        each.tick(30)
    assert history.transitions == twin.transitions
    assert history.fold.rows.packed(LEAD) == twin.fold.rows.packed(LEAD)


def test_a_record_that_came_when_memory_was_short_is_no_dead_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a record comes to depends on nothing but row, record and model: the worker ends instead."""
    history = History(STAGED)
    history.act(0, event="demo")
    before = history.fold.rows.packed(LEAD)

    def short(*_: Any) -> Any:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(fold_lead, "settle", short)
        with pytest.raises(MemoryError):
            history.act(1, event="demo")
        patch.setattr(lead_rows, "advance", short)
        with pytest.raises(MemoryError):
            history.tick(12)
    assert history.fold.rows.packed(LEAD) == before
    assert history.letters == []


@pytest.mark.parametrize("failing", [{0}, {2}, {4}, {0, 1}, {1, 3}, {3, 4}, {0, 1, 2, 3, 4}])
@pytest.mark.parametrize("new", [True, False])
def test_failures_in_a_batch_take_nothing_from_the_other_records(
    monkeypatch: pytest.MonkeyPatch, failing: set[int], new: bool
) -> None:
    """All acts are one lead's, so that they are folded together."""
    history, twin = History(STAGED), History(STAGED)
    if not new:
        for each in (history, twin):
            each.act(0)
    batch = [
        Logged(len(history.log) + number, history.at(number + 1), LEAD, encode("TrackedEvent", event))
        for number, event in enumerate(
            history.event(1, {"event": name}) for name in 2 * ("demo", "page_view") + ("webinar",)
        )
    ]
    bad_times = {batch[number].timestamp for number in failing}
    original = settle

    def broken(row: Row, cause: Any, active: Any) -> None:
        original(row, cause, active)  # moves, too, are undone
        if cause.logged_at in bad_times:
            raise BugError("by intent")

    with monkeypatch.context() as patch:
        patch.setattr(fold_lead, "settle", broken)
        history.sent += history.fold.fold(batch)
    twin.sent += twin.fold.fold([record for record in batch if record.timestamp not in bad_times])
    assert [letter["value"] for letter in history.letters] == [batch[number].value for number in sorted(failing)]
    assert history.fold.outcomes["fold_error"] == len(failing)
    assert history.transitions == twin.transitions
    assert history.fold.rows.packed(LEAD) == twin.fold.rows.packed(LEAD)
    assert history.fold.take_snapshots() == twin.fold.take_snapshots()
    assert history.fold.take_checkpoint(9) == twin.fold.take_checkpoint(9)


def test_a_failure_after_the_row_has_changed_is_undone_too(monkeypatch: pytest.MonkeyPatch) -> None:
    history = History(STAGED)
    history.act(0)
    before = history.fold.rows.packed(LEAD)
    history.fold.take_snapshots()

    def broken(*_arguments: Any) -> Any:
        raise BugError

    with monkeypatch.context() as patch:
        patch.setattr("processors.lead_rows._wake_at", broken)
        history.act(1, event="demo")
        history.record(1, b"1new", AVRO)
    assert (history.fold.outcomes["fold_error"], history.transitions) == (2, [])
    assert history.fold.rows.packed(LEAD) == before
    assert history.fold.rows.all_keys() == [LEAD]
    assert history.fold.take_snapshots() == []


def test_a_lead_that_fails_at_a_tick_stays_as_it_was_and_the_others_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    history = History(STAGED)
    for key in (LEAD, b"1other"):
        history.act(0, event="demo", key=key)
    before = history.fold.rows.packed(LEAD)
    original = advance

    def broken(row: Row, to: int, cause: Any, active: Any) -> None:
        original(row, to, cause, active)
        if cause.key == LEAD:
            raise BugError("by intent")

    with monkeypatch.context() as patch:
        patch.setattr(lead_rows, "advance", broken)
        history.tick(12)
        history.tick(12.01)  # soon after it is not tried again
    assert [(t["lead_key"], t["to_stage"]) for t in history.transitions[2:]] == [("1other", "warm")]
    assert history.fold.rows.packed(LEAD) == before
    assert [letter["detail"] for letter in history.letters] == [
        "1 leads did not follow this tick; lead b'1ada': BugError: by intent"
    ]
    history.tick(12.1)
    assert [t["lead_key"] for t in history.transitions[2:]] == ["1other", "1ada"]


def test_a_row_that_grew_too_large_stops_the_worker_and_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    history = History(COUNTING)
    history.act(0)
    before = history.fold.rows.packed(LEAD)
    assert before is not None
    monkeypatch.setattr(row_store, "MAX_ROW_BYTES", len(before))
    with pytest.raises(RowTooLargeError):
        history.act(0)
    assert history.fold.rows.packed(LEAD) == before
