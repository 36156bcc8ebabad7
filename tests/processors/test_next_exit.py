"""The solved instants against brute force: exits to a second, hints never late."""

import re
from dataclasses import replace
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from processors.active_model import ActiveModel
from processors.expiry import SPENT_POINTS, earliest_expiry, expires_at
from processors.fold_lead import fold_event
from processors.fold_partition import PartitionFold
from processors.model_log import pack_model, read_model_record
from processors.moves import Cause
from processors.next_exit import exit_cause, exit_holds, first_exit, next_look
from processors.price import Price
from processors.units import KEPT_MS
from schemas.rows import NEVER_MS, Row
from tests.processors.history import Logged
from tests.processors.strategies import (
    DAY_MS,
    LAWS,
    LEADS,
    MINUTE_MS,
    Told,
    event_of,
    log_of,
    logs,
    models,
    stories,
    told,
)

HORIZON_MS = 40 * MINUTE_MS
MINUTES = {
    "1h": "3m",
    "5h": "7m",
    "1d": "20m",
    "10d": "3h",
    "10h": "9m",
    "3d": "16m",
    "20h": "11m",
    "2d": "25m",
    "3h": "2m",
    "6h": "1m",
}


def in_minutes(text: str) -> str:
    """A random model that lives a hundred times faster, so that every second of it can be looked at."""
    return re.sub(r"\b\d+[hd]\b", lambda found: MINUTES[found[0]], text)


FAST = models().map(in_minutes)
ACTS = stories(("act",), least=1, most=8)


def row_after(text: str, acts: list[Told], stage: str, entered_ago_ms: int) -> tuple[Row, ActiveModel]:
    """A lead in the stage, some acts later: every minute one."""
    log = log_of([text], [])
    for number, each in enumerate(acts):
        at = log[1].timestamp + number * MINUTE_MS
        record = log_of([text], [each])[2]
        log.append(Logged(len(log), at, LEADS[0], record.value))
    fold = PartitionFold("events", 0, 1)
    fold.fold(log)
    opened, active = fold.rows.read(LEADS[0]), fold.models.newest
    assume(opened is not None)
    assert opened is not None
    assert active is not None
    opened.row.stage, opened.row.entered_at = stage, opened.row.now - entered_ago_ms
    return opened.row, active


in_stage = st.sampled_from(["warm", "hot"])
entered = st.sampled_from([0, 1, 90_000, DAY_MS])


@LAWS
@given(text=FAST, acts=ACTS, stage=in_stage, ago=entered)
def test_the_first_exit_is_the_one_that_a_look_at_every_second_finds(
    text: str, acts: list[Told], stage: str, ago: int
) -> None:
    row, active = row_after(text, acts, stage, ago)
    left = active.model.stages[active.stage_index[stage]]
    start, end = row.now, row.now + HORIZON_MS
    begin = max(start, row.entered_at + int(left.min_dwell_ms))
    seen = next((at for at in range(begin, end, 1000) if exit_holds(left, Price(row, active, at))), None)
    found = first_exit(row, left, active, start, end)
    hint = next_look(row, left, active)
    if found is not None:
        assert exit_holds(left, Price(row, active, found))
    if seen is None:
        assert found is None or found > end - 1000
    else:
        assert found is not None
        assert abs(found - seen) <= 1000
        assert hint <= seen
        assert hint <= found


@LAWS
@given(text=FAST, acts=ACTS, stage=in_stage, middle=st.integers(0, HORIZON_MS))
def test_whoever_looks_in_between_finds_the_same_exit(text: str, acts: list[Told], stage: str, middle: int) -> None:
    row, active = row_after(text, acts, stage, DAY_MS)
    left = active.model.stages[active.stage_index[stage]]
    start, end = row.now, row.now + HORIZON_MS
    whole = first_exit(row, left, active, start, end)
    assert first_exit(row, left, active, start, start + middle) == (
        whole if whole is not None and whole <= start + middle else None
    )


@LAWS
@given(text=FAST, acts=ACTS, stage=in_stage)
def test_a_fall_has_the_cause_inactivity_if_without_it_the_lead_would_stay(
    text: str, acts: list[Told], stage: str
) -> None:
    row, active = row_after(text, acts, stage, DAY_MS)
    left = active.model.stages[active.stage_index[stage]]
    at = first_exit(row, left, active, row.now, row.now + HORIZON_MS)
    assume(at is not None)
    assert at is not None
    price = Price(row, active, at)
    by_time = any(line.kind == "inactivity" for line in price.lines) or any(
        term.kind == "idle" and price.idle_ms is not None and price.idle_ms >= term.bound for term in left.exit
    )
    assert exit_cause(left, row, active, at) == "decay" or by_time


@LAWS
@given(text=FAST, acts=ACTS, stage=in_stage, more=told(("act",)), wait_ms=st.sampled_from([0, 1, 5000, MINUTE_MS]))
def test_an_act_that_keeps_the_hint_brings_no_exit_nearer(
    text: str, acts: list[Told], stage: str, more: Told, wait_ms: int
) -> None:
    """Caps, floors, limits and late acts: each only ever raises what a paying act is worth at any later instant."""
    row, active = row_after(text, acts, stage, DAY_MS)
    hint, at = next_look(row, active.model.stages[active.stage_index[stage]], active), row.now + wait_ms
    cause = Cause(LEADS[0], (9, 9), at, hint)
    event: Any = event_of(replace(more, bot=False), at) | {"event_id": "one more"}
    fold_event(row, event, cause, active)
    assume(not cause.transitions and cause.wake_at)
    found = first_exit(row, active.model.stages[active.stage_index[row.stage]], active, row.now, at + HORIZON_MS)
    assert cause.wake_at == hint
    assert found is None or found >= hint


def assert_hints_never_late(log: list[Logged], ahead_ms: int, step_ms: int) -> None:
    fold = PartitionFold("events", 0, 1)
    for record in log:
        fold.fold([record])
        active = fold.models.newest
        for key in LEADS:
            opened = fold.rows.read(key)
            if opened is None or active is None or opened.model_stamp != active.stamp:
                continue
            row, hint = opened.row, opened.wake_at
            stage = active.model.stages[active.stage_index[row.stage]]
            assert hint <= min(expires_at(row, active), NEVER_MS)
            if stage.owner != "score" or not stage.exit:
                continue
            begin = max(row.now, row.entered_at + int(stage.min_dwell_ms))
            seen = range(begin, begin + ahead_ms, step_ms)
            first = next((at for at in seen if exit_holds(stage, Price(row, active, at))), NEVER_MS)
            assert hint <= first, (record.offset, key, stage.id)
            solved = first_exit(row, stage, active, row.now, row.now + ahead_ms)
            assert hint <= (NEVER_MS if solved is None else solved)


MIXED = ("act",) * 10 + ("feedback", "line", "tick", "model")


@LAWS
@given(log=logs(MIXED, activations=2))
def test_the_hint_of_a_row_is_never_late_after_any_records(log: list[Logged]) -> None:
    assert_hints_never_late(log, 10 * DAY_MS, 3_600_000)


@LAWS
@given(log=logs(MIXED, activations=2, make=lambda: FAST))
def test_the_hint_is_never_late_where_minutes_count(log: list[Logged]) -> None:
    hurried = [
        Logged(r.offset, log[0].timestamp + (r.timestamp - log[0].timestamp) // 120, r.key, r.value) for r in log
    ]
    assert_hints_never_late(hurried, HORIZON_MS, 20_000)


@LAWS
@given(text=models(penalties=False), acts=ACTS)
def test_a_row_expires_when_the_last_of_its_terms_is_spent(text: str, acts: list[Told]) -> None:
    row, active = row_after(text, acts, "visitor", 0)
    at = expires_at(row, active)
    assume(at != NEVER_MS)

    def most(when: int) -> float:
        lines = Price(row, active, when).lines
        return max((abs(line.points) for line in lines if line.kind == "rule"), default=0.0)

    assert most(at) <= SPENT_POINTS
    forgettable = max((when + KEPT_MS for when in row.window.values()), default=0)
    earliest = max(earliest_expiry(row, active), forgettable)
    assert at >= earliest
    assert at <= earliest + 1 or most(at - 2) > SPENT_POINTS * (1 - 1e-9)


def test_never_comes_for_a_stage_without_exit() -> None:
    text = "leadstream: 1\nname: x\nstages: [{id: visitor}]\nrules: [{id: r, points: 1, when: {event: a}}]\n"
    active = ActiveModel(read_model_record(pack_model(text)), 1, 0)
    row: Any = Row(now=5, stage="visitor", entered_at=5)
    assert next_look(row, active.first_stage, active) == NEVER_MS
    assert first_exit(row, active.first_stage, active, 5, NEVER_MS) is None
