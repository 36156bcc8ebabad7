"""One partition: which records it refuses, models, epochs, expiry, and what a failure inside the fold leaves behind."""

import json
from typing import Any

import pytest

from processors import fold_lead, lead_rows, row_store
from processors.advance import advance, settle
from processors.fold_partition import OldFoldError, PartitionFold
from processors.row_store import RowTooLargeError
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


def letters(history: History) -> list[dict[str, Any]]:
    return [decode(sent.value)[1] for sent in history.sent if sent.kind == "DeadLetter" and sent.value is not None]


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
    assert [(letter["reason"], letter["key"], letter["value"]) for letter in letters(history)] == [(reason, key, value)]
    assert (letters(history)[0]["id"], letters(history)[0]["seen_at"]) == ("events/0/2", history.at(1))
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


# --- models ---


STRICTER = changed(STAGED, ("enter: {score: at least 100}, exit: {score: below 50}",
                            "enter: {score: at least 300}, exit: {score: below 200}"))  # fmt: skip
LAXER = changed(STAGED, ("enter: {score: at least 100}", "enter: {score: at least 55}"))


def test_a_model_promotes_nobody_and_who_now_qualifies_rises_at_the_next_act() -> None:
    history = History(STAGED)
    history.act(0, event="webinar")
    assert history.stage == "warm"
    history.activate(0.1, LAXER, 2)
    history.tick(0.2)
    assert history.stage == "warm"
    history.act(0.3)
    assert history.moves[-1][:3] == ("warm", "hot", "act")
    assert history.transitions[-1]["alert"] is not None


@pytest.mark.parametrize("notify", [False, True])
@pytest.mark.parametrize("by", ["tick", "act"])
def test_who_no_longer_qualifies_falls_when_the_model_came(by: str, notify: bool) -> None:
    history = History(STAGED)
    history.act(0, event="demo")
    history.activate(3, STRICTER, 2, notify=notify)
    if by == "tick":
        history.tick(4)
    else:
        history.act(4)
    assert history.moves[-1] == ("hot", "warm", "model", 3)
    assert (history.transitions[-1]["alert"] is not None) == notify
    assert history.transitions[-1]["model"]["n"] == 2


def test_a_fall_after_the_model_came_is_no_longer_its_doing() -> None:
    history = History(STAGED)
    history.act(0, event="demo")
    history.activate(1, changed(STAGED, ("exit: {score: below 50}", "exit: {score: below 80}")), 2)
    history.tick(9)
    assert history.moves[-1][2] == "decay"
    assert history.moves[-1][3] == pytest.approx(3.219281, abs=1 / 86400)


def test_a_changed_half_life_keeps_what_the_points_are_worth_at_that_instant() -> None:
    limited = changed(STAGED, ("when: {event: webinar}", "when: {event: webinar}, limit: {times: 2, per: week}"))
    history = History(limited)
    for day in (0, 1, 2):
        history.act(day, event="webinar")
        history.act(day, event="demo")
    before = history.price(5).score
    history.activate(5, changed(limited, ("half_life: 10d", "half_life: 2d")), 2)
    history.act(5, event="nothing")
    assert history.price(5).score == pytest.approx(before, abs=1e-6)
    assert history.price(7).score == pytest.approx(before / 2, abs=1e-6)
    history.act(5, event="webinar")  # a new best act of the week pushes out an old one, converted too
    worth = 60 * (2 ** (-3 / 10) + 2 ** (-4 / 10)) - 60 * 2 ** (-4 / 10)
    assert history.price(5).score == pytest.approx(100 * sum(2 ** (-d / 10) for d in (3, 4, 5)) + worth + 60, abs=1e-6)


RENAMED = ("id: big, points: 100", "id: demo-request, was: big, points: 100")


@pytest.mark.parametrize(("rename", "score"), [(RENAMED, 100), (("id: big,", "id: demo-request,"), 0)])
def test_a_renamed_rule_keeps_its_points_if_it_says_what_it_was(rename: tuple[str, str], score: float) -> None:
    history = History(changed(STAGED, ("when: {event: demo}", "when: {event: demo}, tags: [t]"),
                              ("rules:", "tags: [{id: t, match: {asset: none}}]\nrules:")))  # fmt: skip
    history.act(0, event="demo")
    tagged = history.model
    history.activate(0, changed(tagged, rename), 2)
    history.act(0, event="nothing")
    found = history.price(0)
    assert (found.score, found.tag("t")) == (score, score / 100)
    assert (found.did("demo-request", 0), found.did("big", 0)) == (score > 0, score == 0)
    history.activate(1, changed(tagged, rename, ("half_life: 10d", "half_life: 1d")), 3)
    history.act(2, event="nothing")
    assert history.price(2).score == pytest.approx(score * 2**-0.1 / 2, abs=1e-6)


def test_a_renamed_rule_with_a_limit_goes_on_in_the_same_window() -> None:
    limited = changed(STAGED, ("when: {event: demo}", "when: {event: demo}, limit: {times: 1, per: day}"))
    history = History(limited)
    history.act(0, event="demo")
    history.activate(0, changed(limited, RENAMED), 2)
    history.act(0.1, event="demo")
    assert history.price(0.1).score == 100
    row = history.fold.rows.read(LEAD)
    assert row is not None
    assert (list(row.row.limited), row.row.entries) == (["#days", "demo-request"], 2)


def test_a_rule_that_takes_over_another_has_the_points_of_both() -> None:
    limit = "limit: {times: 1, per: day}"
    both = changed(STAGED, ("when: {event: demo}", "when: {event: demo}, " + limit),
                   ("when: {event: webinar}", "half_life: 5d, when: {event: webinar}, " + limit))  # fmt: skip
    history = History(both)
    history.act(0, event="demo")
    history.act(1, event="webinar")
    heir = changed(
        both,
        ("  - {id: big, points: 100, when: {event: demo}, " + limit + "}\n", ""),
        ("id: mid,", "id: mid, was: big,"),
    )
    history.activate(1, heir, 2)
    history.act(1, event="nothing")
    assert history.price(1).score == pytest.approx(60 * (2**-0.1 + 1), abs=1e-6)
    assert history.price(6).score == pytest.approx(30 * (2**-0.1 + 1), abs=1e-6)
    opened = history.fold.rows.read(LEAD)
    assert opened is not None
    assert (opened.row.tallies["mid"].count, opened.row.tallies["mid"].last_id) == (2, "e1")
    assert opened.row.entries == sum(len(b.entries) for bs in opened.row.limited.values() for b in bs.values()) == 3


def test_a_stale_write_behind_the_null_of_a_forgotten_row_is_forgotten_at_the_next_tick() -> None:
    history = History(STAGED)
    history.act(0)
    changelog = history.fold.take_checkpoint(3)
    history.tick(200)
    changelog += history.fold.take_checkpoint(4) + history.fold.take_checkpoint(5)
    fold = PartitionFold("events", 0, 1)
    for key, value in [*changelog, changelog[1]]:
        fold.restore(key, value)
    fold.restored()
    assert (changelog[1][0], fold.rows.read(LEAD) is None) == (LEAD, False)
    fold.fold([Logged(5, history.at(201), CONTROL_KEY, TICK)])
    assert fold.rows.read(LEAD) is None


def test_a_lead_in_a_stage_that_is_gone_begins_anew() -> None:
    history = History(STAGED)
    history.feedback(0, "accepted", 1)
    history.activate(1, changed(STAGED, ("id: sal", "id: talks")), 2)
    history.tick(2)
    assert history.moves[-1] == ("sal", "visitor", "model", 1)
    assert history.transitions[-1]["alert"] is None


def test_a_model_with_a_smaller_number_is_ignored() -> None:
    history = History(STAGED)
    history.activate(0, LAXER, 5)
    history.activate(0, STRICTER, 4)
    history.act(0, event="webinar")
    assert (history.stage, history.fold.outcomes["model_ignored"]) == ("hot", 1)


def test_of_two_models_with_the_same_number_all_partitions_take_the_same() -> None:
    stages = []
    for first, second in ((LAXER, STRICTER), (STRICTER, LAXER)):
        history = History(STAGED)
        history.act(0, event="demo")
        history.activate(3, first, 2)
        history.act(3.1)  # the row now knows the model with this n
        history.activate(4, second, 2)
        history.tick(5)
        stages.append((history.price(5).score, history.fold.models.newest))
    assert stages[0][1] is not None
    assert stages[1][1] is not None
    assert stages[0][1].model.version == stages[1][1].model.version


def test_a_row_follows_from_one_model_to_another_with_the_same_number() -> None:
    def version(text: str) -> str:
        return str(decode(model_record(text))[1]["version"])

    renamed = changed(
        STAGED, ("id: hot", "id: boiling"), ("enters: hot", "enters: boiling"), ("leaves: hot", "leaves: boiling")
    )
    later = next(
        text
        for n in range(2, 99)
        if version(text := changed(renamed, ("points: 1,", f"points: {n},"))) > version(LAXER)
    )
    history = History(STAGED)
    history.act(0, event="demo")
    for day, model in ((3, LAXER), (4, later)):
        history.activate(day, model, 2)
        history.act(day + 0.1)
    assert history.moves[1] == ("hot", "visitor", "model", 4)
    assert history.fold.outcomes["fold_error"] == 0


def test_a_record_that_comes_with_an_earlier_time_than_the_model_still_falls_by_the_model() -> None:
    history = History(STAGED)
    history.act(0, event="demo")
    history.activate(3, STRICTER, 2)
    history.act(2.9)
    assert history.moves[-1] == ("hot", "warm", "model", 3)


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


# --- a fold that fails ---


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
    assert letters(history)[0]["reason"] == "fold_error"
    assert letters(history)[0]["detail"] == "BugError: by intent"
    assert letters(history)[0]["value"] == history.log[-1].value
    for each in (history, twin):
        each.act(4, event="demo")
        each.tick(30)
    assert history.transitions == twin.transitions
    assert history.fold.rows.packed(LEAD) == twin.fold.rows.packed(LEAD)


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
    assert [letter["value"] for letter in letters(history)] == [batch[number].value for number in sorted(failing)]
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
    assert [letter["detail"] for letter in letters(history)] == [
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
    assert history.fold.newest_row_offset == -1
    history.act(0)
    history.act(0, key=b"1other")
    assert history.fold.newest_row_offset == 3
    history.record(0, CONTROL_KEY, encode("Epoch", {"epoch": 2}))
    assert history.fold.newest_row_offset == -1


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
