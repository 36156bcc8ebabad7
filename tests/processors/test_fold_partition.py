"""One partition: what it refuses, epochs, expiry, rows. Models: `test_newer_models.py`, failures: `test_failing_folds.py`."""

import json
from typing import Any

import pytest

from processors.fold_partition import PART_KEY, PartitionFold
from processors.model_log import OldFoldError
from schemas.codec import decode, encode
from schemas.keys import CONTROL_KEY, partition_of
from schemas.rows import Row, UnreadableRowError, pack_row
from tests.processors.history import LEAD, History, Logged, model_record
from tests.processors.small_models import COUNTING, STAGED, changed

EVENT: dict[str, Any] = {"event_id": "e", "type": "page_view", "occurred_at": None}
AVRO = encode("TrackedEvent", History(COUNTING).event(0, {"event": "page_view"}))
TICK = encode("Tick", {})
LETTER = encode(
    "DeadLetter",
    {"id": "x", "reason": "empty", "detail": "", "step": "worker", "seen_at": 0, "topic": None, "partition": None,
     "offset": None, "key": None, "value": None, "context": {}},
)  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "key", "value"),
    [
        ("empty", LEAD, None),
        ("empty", LEAD, b""),
        ("bad_avro", LEAD, b"garbage"),
        ("bad_avro", LEAD, AVRO[:-3]),
        ("bad_avro", LEAD, AVRO[:10]),
        ("unknown_schema", LEAD, b"\xc3\x01" + bytes(8) + AVRO[10:]),
        ("bad_json", LEAD, b'{"event_id": '),
        ("bad_json", LEAD, b'{"event_id": NaN}'),
        ("bad_event", LEAD, b'{"event_id": "e"}'),
        ("bad_event", LEAD, json.dumps(EVENT | {"surprise": 1}).encode()),
        ("bad_key", None, AVRO),
        ("bad_key", b"", AVRO),
        ("bad_key", b"ctl", AVRO),
        ("bad_key", b"1", AVRO),
        ("bad_key", b"2even", AVRO),
        ("bad_key", b"1" + b"x" * 2000, AVRO),
        ("wrong_topic", LEAD, LETTER),
        ("bad_avro", CONTROL_KEY, encode("Epoch", {"epoch": 1})[:10]),
        ("bad_model", CONTROL_KEY, model_record(COUNTING, 2)[:10] + b"\x04\x02x\x02x\x02\x00\x02x"),
    ],
)
def test_what_cannot_be_used_is_kept_whole_with_its_reason(reason: str, key: bytes | None, value: bytes | None) -> None:
    history = History(COUNTING)
    history.record(1, key, value)
    history.act(2)
    assert [(letter["reason"], letter["key"], letter["value"]) for letter in history.letters] == [(reason, key, value)]
    assert (history.letters[0]["id"], history.letters[0]["seen_at"]) == ("events/0/2", history.at(1))
    assert (history.fold.outcomes[reason], history.price(2).score) == (1, 1)


def test_json_is_an_event_as_avro_is() -> None:
    history = History(COUNTING)
    history.record(0, LEAD, json.dumps(EVENT | {"url": "https://www.acme.example/"}).encode())
    assert (history.fold.outcomes["folded"], history.price(0).score) == (1, 1)


def test_a_lead_of_another_partition_is_refused() -> None:
    key = next(key for n in range(99) if partition_of(key := b"1lead%d" % n, 3) == 1)
    for partition, outcome in ((1, "folded"), (2, "wrong_partition")):
        fold = PartitionFold("events", partition, 3)
        fold.fold([Logged(0, 0, CONTROL_KEY, model_record(COUNTING)), Logged(1, 0, key, AVRO)])
        assert fold.outcomes[outcome] == 1


def test_a_model_that_does_not_check_is_refused_and_the_one_before_stays() -> None:
    history = History(COUNTING)
    record = decode(model_record(COUNTING, 2))[1]
    for bad in ({"body": b"no zlib"}, {"body": record["body"][:-9]}, {"n": 2**31}):
        history.record(0, CONTROL_KEY, encode("ModelActivated", record | bad))
    history.act(0)
    assert (history.fold.outcomes["bad_model"], history.price(0).score) == (3, 1)


def test_a_model_for_a_newer_fold_stops_the_worker() -> None:
    history = History(COUNTING)
    record = decode(model_record(COUNTING, 2))[1]
    with pytest.raises(OldFoldError, match="fold version 2, this build has 1"):
        history.record(0, CONTROL_KEY, encode("ModelActivated", record | {"fold_version": 2}))


def test_without_any_model_a_record_is_a_dead_letter_that_says_what_to_do() -> None:
    fold = PartitionFold("events", 0, 1)
    sent = fold.fold([Logged(0, 0, LEAD, AVRO)])
    assert "model activate" in decode(sent[0].value or b"")[1]["detail"]


def test_records_before_the_first_model_are_folded_by_it() -> None:
    record = decode(model_record(COUNTING))[1]
    fold = PartitionFold("events", 0, 1, first_model=(record, 50))  # type: ignore[arg-type]  # decode gives a plain dict
    fold.fold([Logged(0, 10, LEAD, AVRO), Logged(1, 50, CONTROL_KEY, model_record(COUNTING))])
    fold.fold([Logged(2, 60, LEAD, encode("TrackedEvent", History(COUNTING).event(0, {"event": "page_view"})))])
    opened = fold.rows.read(LEAD)
    assert opened is not None
    assert opened.row.tallies["view"].count == 1  # the same id twice
    assert fold.outcomes == {"folded": 1, "model": 1, "duplicate": 1}


def test_an_epoch_only_grows_and_versions_come_with_it() -> None:
    history = History(STAGED)
    for epoch in (3, 2):
        history.record(0, CONTROL_KEY, encode("Epoch", {"epoch": epoch}))
    history.act(0, event="demo")
    assert history.fold.epoch == history.transitions[0]["epoch"] == 3
    header = history.fold.rows.header(LEAD)
    assert header is not None
    assert header.version == (3, 4)


def test_after_an_epoch_smaller_offsets_are_new() -> None:
    history = History(COUNTING)
    for _ in range(5):
        history.act(0)
    history.fold.fold([Logged(0, 0, CONTROL_KEY, encode("Epoch", {"epoch": 2}))])
    again = encode("TrackedEvent", history.event(0, {"event": "page_view"}))
    history.fold.fold([Logged(1, 0, LEAD, again)])
    assert history.price(0).score == 6


# --- expiry ---


def forgotten(history: History) -> bool:
    return history.fold.rows.read(LEAD) is None


@pytest.mark.parametrize(("event", "day"), [("page_view", 90), ("big", 132.877)])
def test_a_visitor_is_forgotten_when_old_and_spent(event: str, day: float) -> None:
    history = History(changed(STAGED, ("{id: big, points: 100", "{id: big, points: 1, half_life: 20d"),
                              ("event: demo", "event: big")))  # fmt: skip
    history.act(0, event=event)
    history.tick(day - 0.01)
    assert not forgotten(history)
    history.tick(day + 0.01)
    assert forgotten(history)
    assert [(s.kind, s.value) for s in history.fold.take_snapshots()] == [("LeadSnapshot", None)]


def test_an_old_row_that_is_not_spent_is_looked_at_again_only_when_it_is() -> None:
    history = History(changed(STAGED, ("{id: small, points: 1,", "{id: small, points: 1, half_life: 60d,")))
    history.act(0)
    history.tick(90.1)
    assert not forgotten(history)
    spent = 60 * 6.643856
    assert history.fold.wake_at_ms() == pytest.approx(history.at(spent), abs=60_000)


@pytest.mark.parametrize("event", ["trial_started", "page_view"])
def test_what_was_paid_for_a_lifetime_or_never_fades_keeps_the_row(event: str) -> None:
    history = History(COUNTING)
    history.act(0, event=event)
    history.tick(5000)
    assert not forgotten(history)
    assert history.fold.wake_at_ms() is None


def test_a_lead_that_ever_moved_is_not_forgotten() -> None:
    history = History(STAGED)
    history.act(0, event="webinar")
    history.tick(400)
    assert (history.stage, forgotten(history)) == ("visitor", False)


def test_a_key_that_comes_back_after_it_expired_gets_new_ids() -> None:
    history = History(STAGED)
    history.act(0)
    history.tick(200)
    assert forgotten(history)
    history.act(201, event="demo")
    history.feedback(202, "won", 1)
    assert [(t["seq"], t["prev"]) for t in history.transitions] == [(1, ""), (2, history.transitions[0]["id"])]
    assert len({t["id"] for t in history.transitions}) == 2


def test_a_row_that_is_gone_leaves_the_changelog_once_its_end_is_committed() -> None:
    history = History(STAGED)
    history.act(0)
    history.fold.take_checkpoint(3)
    history.tick(200)
    gone = dict(history.fold.take_checkpoint(4))
    assert gone[LEAD] is not None
    assert dict(history.fold.take_checkpoint(5))[LEAD] is None
    assert LEAD not in dict(history.fold.take_checkpoint(6))
    assert history.fold.rows.all_keys() == []


# --- the rows ---


@pytest.mark.parametrize("data", [b"", b"\x02" + bytes(40), pack_row((1, 1), 0, 0, None) + b"\xc1"])
def test_a_changelog_that_cannot_be_read_says_so(data: bytes) -> None:
    def recover() -> None:
        fold = PartitionFold("events", 0, 1)
        fold.restore(LEAD, data)
        fold.rows.read(LEAD)

    with pytest.raises(UnreadableRowError):
        recover()


def test_a_changelog_without_the_model_in_force_says_so() -> None:
    history = History(COUNTING)
    history.act(0)
    fold = PartitionFold("events", 0, 1)
    for key, value in history.fold.take_checkpoint(3):
        if not key.startswith(b"00model/"):
            fold.restore(key, value)
    with pytest.raises(UnreadableRowError, match="model of"):
        fold.restored()


def test_the_newest_row_is_one_of_the_current_epoch() -> None:
    history = History(COUNTING)
    changelog: list[tuple[bytes, bytes | None]] = []

    def newest_after_recovery() -> int:
        changelog.extend(history.fold.take_checkpoint(len(history.log)))
        fold = PartitionFold("events", 0, 1)
        for key, value in changelog:
            fold.restore(key, value)
        fold.restored()
        return fold.newest_row_offset

    assert newest_after_recovery() == -1
    history.act(0)
    history.act(0, key=b"1other")
    assert newest_after_recovery() == 3
    history.record(0, CONTROL_KEY, encode("Epoch", {"epoch": 2}))
    assert newest_after_recovery() == -1


OLD, NEW = (pack_row((1, offset), 0, 0, Row(0, "visitor", 0)) for offset in (4, 7))
GONE = pack_row((1, 9), 0, 0, None)


@pytest.mark.parametrize(
    ("changelog", "kept", "written_again"),
    [
        ([OLD, NEW], NEW, False),
        ([NEW, OLD], NEW, True),
        ([NEW, OLD, NEW], NEW, False),
        ([OLD, GONE], GONE, False),
        ([GONE, NEW], GONE, True),
        ([GONE, None, OLD], OLD, False),
        ([NEW, OLD, None], None, False),
    ],
)
def test_of_several_records_of_a_row_the_newest_counts_wherever_it_stands(
    changelog: list[bytes | None], kept: bytes | None, *, written_again: bool
) -> None:
    fold = PartitionFold("events", 0, 1)
    for value in changelog:
        fold.restore(LEAD, value)
    fold.restored()
    assert fold.rows.packed(LEAD) == kept
    assert [key for key, _ in fold.take_checkpoint(8)] == ([LEAD] if written_again else []) + [PART_KEY]


def test_leads_are_counted_by_stage() -> None:
    history = History(COUNTING)
    history.act(0, url="https://x.example/a")
    history.act(0, key=b"1bob", url="https://x.example/a")
    before = history.fold.rows.leads_by_stage()
    restored = PartitionFold("events", 0, 1)
    for key, value in history.fold.take_checkpoint(len(history.log)):
        restored.restore(key, value)
    restored.restored()
    assert restored.rows.leads_by_stage() == before
    assert sum(before.values()) == 2
    gone = pack_row((9, 0), 0, 0, None)  # the header alone
    restored.restore(LEAD, gone + b"\xc1")
    assert restored.rows.leads_by_stage() == {"unreadable": 1, **dict.fromkeys(before, 1)}
