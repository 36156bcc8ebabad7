"""The laws of the fold, over random models and random logs: replay, repeats, order, ticks, time."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from processors.fold_partition import PART_KEY, PartitionFold
from processors.model_log import pack_model, read_model_record
from processors.outbox import Sent
from processors.price import Price
from schemas.codec import decode, encode
from schemas.keys import CONTROL_KEY, id8
from schemas.rows import Row
from tests.processors.history import History, Logged
from tests.processors.small_models import HEAD
from tests.processors.strategies import (
    ALL_KINDS,
    DAY_MS,
    LAWS,
    LEADS,
    START_MS,
    TICK,
    event_of,
    log_of,
    logs,
    models,
    stories,
    told,
)

Changelog = list[tuple[bytes, bytes | None]]
WITH_MODELS = (*ALL_KINDS, "model", "model")


def new_fold() -> PartitionFold:
    return PartitionFold("events", 0, 1)


def fold_all(records: Iterable[Logged]) -> tuple[PartitionFold, list[Sent]]:
    fold = new_fold()
    return fold, [sent for record in records for sent in fold.fold([record])]


def bodies(fold: PartitionFold) -> dict[bytes, tuple[Any, Any]]:
    """Version and content of every row; hints are not part of the state."""
    headers = {key: header for key in fold.rows.all_keys() if (header := fold.rows.header(key)) is not None}
    return {
        key: (header.version, opened.row if (opened := fold.rows.read(key)) is not None else None)
        for key, header in headers.items()
    }


def assert_same(one: PartitionFold, other: PartitionFold) -> None:
    here, there = bodies(one), bodies(other)
    assert here.keys() == there.keys()
    for key in here:
        assert here[key][0] == there[key][0], key
        assert here[key][1] == there[key][1], key


def restored(changelog: Changelog) -> PartitionFold:
    fold = new_fold()
    for key, value in changelog:
        fold.restore(key, value)
    fold.restored()
    return fold


# --- 1: replay ---


@LAWS
@given(log=logs(WITH_MODELS, activations=2), data=st.data())
def test_any_suffix_replayed_over_any_mixture_of_rows_gives_the_same_rows_and_outputs(
    log: list[Logged], data: st.DataObject
) -> None:
    """Checkpoints at random offsets; of the rows written after the last complete one any may have arrived."""
    cuts = sorted(data.draw(st.sets(st.integers(2, len(log)), min_size=1, max_size=4)))
    live, changelog, sent = new_fold(), list[tuple[bytes, bytes | None]](), list[list[Sent]]()
    complete: list[tuple[int, int]] = []  # (offset, records of the changelog up to its `part`)
    for record in log:
        sent.append(live.fold([record]))
        if record.offset + 1 in cuts:
            changelog += live.take_checkpoint(record.offset + 1)
            complete.append((record.offset + 1, len(changelog)))
    start, end = data.draw(st.sampled_from(complete))
    ahead = [(key, value) for key, value in changelog[end:] if key != PART_KEY and value is not None]
    kept = data.draw(st.lists(st.booleans(), min_size=len(ahead), max_size=len(ahead)))
    stale = [entry for entry in changelog[:end] if entry[0] != PART_KEY and entry[1] is not None]
    late = data.draw(st.lists(st.sampled_from(stale), max_size=3)) if stale and _no_nulls(changelog) else []
    again = restored([*changelog[:end], *(entry for entry, yes in zip(ahead, kept, strict=True) if yes), *late])
    assert again.next_offset == start
    repeated = [again.fold([record]) for record in log[start:]]
    assert_same(again, live)
    ahead_of = {key for (key, _), yes in zip(ahead, kept, strict=True) if yes}
    for now, before in zip(repeated, sent[start:], strict=True):
        assert [s for s in now if s.key not in ahead_of] == [s for s in before if s.key not in ahead_of]
        assert all(s in before for s in now)


def _no_nulls(changelog: Changelog) -> bool:
    return all(value is not None for _, value in changelog)


@LAWS
@given(log=logs(WITH_MODELS, activations=2), data=st.data())
def test_the_rows_of_a_restored_partition_are_those_that_were_written(log: list[Logged], data: st.DataObject) -> None:
    live = new_fold()
    changelog: Changelog = []
    for record in log:
        live.fold([record])
        if data.draw(st.integers(0, 4)) == 0:
            changelog += live.take_checkpoint(record.offset + 1)
    changelog += live.take_checkpoint(len(log))
    # Stale writes of an older owner: an earlier record of a row that still exists, anywhere behind its first.
    rows = [(place, entry) for place, entry in enumerate(changelog) if entry[1] is not None]
    for place, (key, value) in data.draw(st.lists(st.sampled_from(rows), max_size=4)) if _no_nulls(changelog) else ():
        changelog.insert(data.draw(st.integers(place + 1, len(changelog))), (key, value))
    again = restored(changelog)
    assert_same(again, live)
    assert (again.epoch, again.next_offset, again.models.entries) == (live.epoch, len(log), live.models.entries)
    rewritten = {**dict(changelog), **dict(again.take_checkpoint(len(log)))}
    assert_same(restored(list(rewritten.items())), live)


NEARLY = (
    HEAD
    + """
rules:
  - {id: good, points: 100, half_life: 1h, when: {event: good}}
  - {id: bad, points: -30, half_life: 3h, when: {event: bad}}
stages: [{id: visitor}, {id: hot, enter: {score: at least 60}, exit: {score: below 20}}]
"""
)


@pytest.mark.parametrize("cut", range(2, 14))
def test_the_tick_that_finds_an_exit_is_the_same_whatever_looks_came_before(cut: int) -> None:
    """Several ticks within the second of the exit: a look just before it must not make the next one miss it."""
    history = History(NEARLY)
    for event in ("good", "bad"):
        history.act(0, event=event)
    _, day = fold_all([*history.log, Logged(4, history.at(1), CONTROL_KEY, TICK)])
    falls = transitions(day)[-1]["at"]
    ticks = [Logged(4 + n, falls - 1200 + 130 * n, CONTROL_KEY, TICK) for n in range(14)]
    log = [*history.log, *ticks]
    live, sent = fold_all(log)
    first = new_fold()
    first.fold(log[:cut])
    again = restored(first.take_checkpoint(cut))
    repeated = [each for record in log[cut:] for each in again.fold([record])]
    assert [t["to_stage"] for t in transitions(sent)] == ["hot", "visitor"]
    assert repeated == sent[len(sent) - len(repeated) :]
    assert len(transitions(repeated)) == (2 if cut <= 2 else 1)
    assert_same(again, live)


# --- 3 and 4: repeats of the log ---


@LAWS
@given(log=logs(WITH_MODELS, activations=2))
def test_the_same_id_always_stands_for_the_same_bytes(log: list[Logged]) -> None:
    _, once = fold_all(log)
    _, twice = fold_all(log)
    assert once == twice
    told_of: dict[str, bytes | None] = {}
    for sent in once:
        if sent.kind == "StageTransition":
            told_of.setdefault(decode(sent.value or b"")[1]["id"], sent.value)
    assert len(told_of) == sum(sent.kind == "StageTransition" for sent in once)


@LAWS
@given(log=logs(), size=st.integers(1, 6))
def test_a_batch_folded_twice_is_a_batch_folded_once(log: list[Logged], size: int) -> None:
    once, _ = fold_all(log)
    twice = new_fold()
    for start in range(0, len(log), size):
        first, second = (twice.fold(log[start : start + size]) for _ in range(2))
        assert [s for s in second if s.kind == "StageTransition"] == []
        assert [s for s in second if s.kind == "DeadLetter"] == [s for s in first if s.kind == "DeadLetter"]
    assert_same(twice, once)


@LAWS
@given(log=logs(WITH_MODELS, activations=2), cuts=st.sets(st.integers(1, 40)))
def test_batches_of_any_size_give_the_same_rows_and_tell_the_same_of_each_lead(
    log: list[Logged], cuts: set[int]
) -> None:
    once, told_once = fold_all(log)
    batched = new_fold()
    edges = sorted({0, len(log), *(cut for cut in cuts if cut < len(log))})
    told = [sent for start, end in pairwise(edges) for sent in batched.fold(log[start:end])]
    assert_same(batched, once)
    assert batched.outcomes == once.outcomes
    assert by_key(told) == by_key(told_once)


def by_key(sent: list[Sent]) -> dict[bytes, list[Sent]]:
    return {key: [one for one in sent if one.key == key] for key in {one.key for one in sent}}


# --- 5, 6 and 7: acts ---


def price_of(fold: PartitionFold, key: bytes, at: int) -> Price:
    opened, active = fold.rows.read(key), fold.models.newest
    assert active is not None
    row = opened.row if opened is not None else Row(now=at, stage="visitor", entered_at=at)
    return Price(row, active, at)


@LAWS
@given(text=models(), acts=stories(("act",), least=2, most=12), data=st.data())
def test_acts_that_are_accepted_give_the_same_score_in_any_order(
    text: str, acts: list[Any], data: st.DataObject
) -> None:
    """All are told within the time in which none is late, each under its own id."""
    day = START_MS + 20 * DAY_MS
    values = [
        encode("TrackedEvent", event_of(replace(each, event_id=number, bot=False, ago_ms=each.ago_ms % (6 * DAY_MS)), day)
               | {"event_id": f"e{number}"})
        for number, each in enumerate(acts)
    ]  # fmt: skip
    order = data.draw(st.permutations(range(len(values))))
    start = log_of([text], [])
    prices = []
    for numbers in (range(len(values)), order):
        log = [*start, *(Logged(2 + i, day + i, LEADS[0], values[n]) for i, n in enumerate(numbers))]
        fold, _ = fold_all(log)
        assert fold.outcomes["folded"] == len(values)
        prices.append([price_of(fold, LEADS[0], day + later) for later in (60, DAY_MS, 9 * DAY_MS)])
    for one, other in zip(*prices, strict=True):
        assert one.score == pytest.approx(other.score, abs=1e-6)
        assert one.tag("t") == pytest.approx(other.tag("t"), abs=1e-6)
        assert one.rfm("frequency") == other.rfm("frequency")
        assert one.trait("n") == other.trait("n")


@LAWS
@given(log=logs(), data=st.data())
def test_a_repeat_of_an_act_within_eight_days_changes_nothing(log: list[Logged], data: st.DataObject) -> None:
    fold, _ = fold_all(log)
    acts = [
        r
        for r in log
        if r.value and r.value[:10] == encode("TrackedEvent", event_of(data.draw(told(("act",))), 0))[:10]
    ]
    assume(acts)
    record = data.draw(st.sampled_from(acts))
    event = decode(record.value or b"")[1]
    opened = fold.rows.read(record.key or b"")
    known = opened.row.window.get(id8(event["event_id"])) if opened is not None else None
    assume(opened is not None and known is not None)
    assert opened is not None
    assert known is not None
    before = bodies(fold)
    at = min(opened.row.now, known + 8 * DAY_MS)
    assume(at >= opened.row.now)
    sent = fold.fold([Logged(len(log), at, record.key, record.value)])
    assert (sent, bodies(fold)) == ([], before)


@LAWS
@given(log=logs(), act=told(("act",)), later=st.sampled_from([0, 1, 3_600_000, DAY_MS, 9 * DAY_MS]))
def test_an_act_that_pays_never_lowers_the_score(log: list[Logged], act: Any, later: int) -> None:
    fold, _ = fold_all(log)
    opened = fold.rows.read(act.lead)
    at = max(log[-1].timestamp, opened.row.now if opened is not None else 0) + 1
    good = replace(act, event="a" if act.event == "bad" else act.event, bot=False)
    before = price_of(fold, act.lead, at + later)
    # Inactivity counts from the first act of all, so that one may cost points.
    assume(before.idle_ms is not None or not (fold.models.newest and fold.models.newest.model.inactivity))
    score = before.score
    event = encode("TrackedEvent", event_of(good, at) | {"event_id": "a new one"})
    fold.fold([Logged(len(log), at, act.lead, event)])
    assert price_of(fold, act.lead, at + later).score >= score - 1e-6


# --- 9 and 15: ticks and time ---

QUIET = ("act",) * 8 + ("feedback", "line")


def transitions(sent: list[Sent]) -> list[dict[str, Any]]:
    return [decode(s.value or b"")[1] for s in sent if s.kind == "StageTransition"]


def with_ticks(log: Sequence[Logged], times: list[int]) -> list[Logged]:
    """Ticks between the records, where time goes forward; offsets change."""
    mixed: list[tuple[int, bytes | None, bytes | None]] = []
    waiting = sorted(times)
    latest = 0
    for record in log:
        while waiting and waiting[0] <= record.timestamp:
            at = waiting.pop(0)
            if at >= latest and mixed:
                mixed.append((at, CONTROL_KEY, TICK))
        mixed.append((record.timestamp, record.key, record.value))
        latest = max(latest, record.timestamp)
    return [Logged(offset, *rest) for offset, rest in enumerate(mixed)]


def moves_of(found: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(t["lead_key"], t["from_stage"], t["to_stage"], t["cause"]) for t in found]


@LAWS
@given(log=logs(QUIET), data=st.data())
def test_ticks_change_no_promotion_and_move_no_fall_by_more_than_a_second(
    log: list[Logged], data: st.DataObject
) -> None:
    last = max(record.timestamp for record in log)
    assume(last < START_MS + 80 * DAY_MS)  # a tick may also forget a visitor, which is no move
    times = data.draw(st.lists(st.integers(START_MS, last), max_size=20))
    end = [Logged(len(log), last + 5 * DAY_MS, CONTROL_KEY, TICK)]
    _, without = fold_all([*log, *end])
    ticked = with_ticks(log, times)
    _, sent = fold_all([*ticked, replace(end[0], offset=len(ticked))])
    for lead in LEADS:
        one, other = ([t for t in transitions(each) if t["lead_key"] == lead.decode()] for each in (without, sent))
        assert moves_of(one) == moves_of(other)
        for a, b in zip(one, other, strict=True):
            assert abs(a["at"] - b["at"]) <= 1000


@LAWS
@given(log=logs(), times=st.lists(st.integers(1, 20 * DAY_MS), min_size=1, max_size=6))
def test_time_in_one_step_or_in_many_gives_the_same_moves(log: list[Logged], times: list[int]) -> None:
    last = max(record.timestamp for record in log)
    runs = []
    for steps in (sorted(times), [max(times)]):
        ticks = [Logged(len(log) + i, last + step, CONTROL_KEY, TICK) for i, step in enumerate(steps)]
        fold, sent = fold_all([*log, *ticks])
        runs.append((transitions(sent), {key: row and row.stage for key, (_, row) in bodies(fold).items()}))
    by_lead = [sorted(found, key=lambda t: str(t["lead_key"])) for found, _ in runs]
    assert moves_of(by_lead[0]) == moves_of(by_lead[1])
    assert runs[0][1] == runs[1][1]
    for a, b in zip(*by_lead, strict=True):
        assert abs(a["at"] - b["at"]) <= 1000


@LAWS
@given(log=logs(WITH_MODELS, activations=2))
def test_nobody_rises_without_a_record_about_the_lead(log: list[Logged]) -> None:
    by_offset = {record.offset: record for record in log}
    _, sent = fold_all(log)
    for told_of in transitions(sent):
        if told_of["direction"] == "up":
            assert by_offset[told_of["offset"]].key == told_of["lead_key"].encode()
            assert told_of["cause"] in {"act", "feedback"}


# --- 11, 12 and 13 ---


@LAWS
@given(log=logs(WITH_MODELS, activations=2))
def test_the_parts_of_every_receipt_add_up_to_its_score(log: list[Logged]) -> None:
    _, sent = fold_all(log)
    for told_of in transitions(sent):
        assert sum(part["points"] for part in told_of["receipt"]) == pytest.approx(told_of["score"], abs=1e-4)


@LAWS
@given(text=models(penalties=False), before=stories(least=3, most=15), after=stories(least=3, most=15))
def test_a_key_that_comes_back_after_it_expired_gets_ids_never_seen_before(
    text: str, before: list[Any], after: list[Any]
) -> None:
    fold, sent = fold_all(log_of([text], before))
    ids = {t["id"] for t in transitions(sent)}
    offset, later = 1000, START_MS + 3000 * DAY_MS
    fold.fold([Logged(offset, later, CONTROL_KEY, TICK)])
    revived = log_of([text], after)[2:]
    more = fold.fold([Logged(offset + 1 + r.offset, r.timestamp + 3001 * DAY_MS, r.key, r.value) for r in revived])
    new = [t["id"] for t in transitions(more)]
    assert len(new) == len(set(new))
    assert ids.isdisjoint(new)


@LAWS
@given(text=models())
def test_every_random_model_is_one(text: str) -> None:
    assert read_model_record(pack_model(text)).name == "random"
