"""Proves that the state is what the log says: every partition's log, folded again from a base, gives the rows of the
changelog, the transitions and the dead letters. Reads only; a worker may run meanwhile.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from aiokafka import TopicPartition

from processors.fold_partition import PartitionFold
from schemas.keys import partition_of
from streams.kafka.brokers import Brokers
from streams.kafka.groups import committed_of
from streams.kafka.log_epochs import FIRST_EPOCH, why_not_whole
from streams.kafka.log_reader import log_end, log_start, read_log
from streams.kafka.provision import admin_client
from streams.kafka.topics import Topics
from streams.model_records import FirstModels, first_models
from streams.verification.bases import Base, BaseWriter
from streams.verification.bounds import Bounds, Span, bounds_of
from streams.verification.compare_outputs import LettersCheck, TransitionsCheck
from streams.verification.live_rows import read_live_rows
from streams.verification.replay import ExpectedLetters, Replay
from streams.verification.report import Difference, VerifyReport

Progress = Callable[[int, int], None]
"""Called with the number of records folded so far, and how many there are."""

_PROGRESS_EVERY = 1000


class CannotVerifyError(RuntimeError):
    """The log does not hold what would have to be folded."""


class LogCutError(CannotVerifyError):
    """Records behind the base are gone; without a base, some of all."""


class DamagedRowsError(CannotVerifyError):
    """Rows cannot be taken on trust: some cannot be read."""


@dataclass(frozen=True, slots=True)
class _Task:
    """What is verified, and where the fold of each partition begins."""

    brokers: Brokers
    topics: Topics
    partitions: int
    leads: Collection[bytes] | None
    models: FirstModels
    base: Base | None
    save: BaseWriter | None
    committed: Mapping[TopicPartition, int]

    def fresh_fold(self, number: int) -> PartitionFold:
        return PartitionFold(self.topics.events, number, self.partitions, self.models.get(number))


async def verify(
    brokers: Brokers,
    topics: Topics,
    partitions: int,
    *,
    leads: Collection[bytes] | None = None,
    base: Base | None = None,
    save: BaseWriter | None = None,
    on_progress: Progress = lambda _done, _total: None,
) -> VerifyReport:
    """Compare state and log, one partition at a time: twice the rows of one partition is what is held in memory.

    All topics have so many `partitions`. `leads`: only these keys, and only the partitions where they live. `base`: where
    the fold begins; None: with nothing, at the first record. `save` takes the live rows, all of them, for the next base.

    Raises:
        LogCutError: records are gone that would have to be folded.
        CannotVerifyError: the base is of another log.
        BaseError: the base cannot be used.
        LogStalledError, aiokafka.errors.KafkaError: the broker is away.
        OldFoldError: the log was written for a newer fold.
    """
    numbers = sorted(range(partitions) if leads is None else {partition_of(key, partitions) for key in leads})
    events = [TopicPartition(topics.events, number) for number in numbers]
    async with admin_client(brokers) as admin:  # before any row is read: a worker writes rows, then commits
        committed = await committed_of(admin, topics.worker_group, events)
    models = await first_models(brokers, topics, partitions)
    task = _Task(brokers, topics, partitions, leads, models, base, save, committed)
    ends = await log_end(brokers, events)
    _check_reach(base, await log_start(brokers, events), ends)
    total = sum(ends.values()) - (0 if base is None else sum(base.folded_to[number] for number in numbers))
    report = VerifyReport()
    if base is not None:
        report.base_at_ms, report.trusted_at_ms = base.taken_at_ms, base.trusted_at_ms
    letters = dict[int, ExpectedLetters]()
    for tp in events:
        letters[tp.partition] = await _verify_partition(task, tp, report, lambda: on_progress(report.records, total))
    await LettersCheck(brokers, topics, partitions, letters, leads).compare(report)
    ends = await log_end(brokers, events)
    report.unfolded = sum(max(0, ends[tp] - letters[tp.partition].span.live.folded_to) for tp in events)
    on_progress(total, total)
    return report


async def take_base(brokers: Brokers, topics: Topics, partitions: int, save: BaseWriter) -> None:
    """Save the live rows as they are: nothing is folded, so nothing is proven of them.

    The next run reads the transitions from their beginning.

    Raises:
        DamagedRowsError: a row, or a partition's own row, cannot be read.
        LogStalledError, aiokafka.errors.KafkaError: the broker is away.
    """
    for number in range(partitions):
        fold = PartitionFold(topics.events, number, partitions)
        live, found = await read_live_rows(brokers, fold, TopicPartition(topics.rows, number), None)
        if live.damaged:
            raise DamagedRowsError("; ".join(map(str, found)))
        save.add(number, live, transitions_from=0)


def _check_reach(base: Base | None, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]) -> None:
    """Does the log hold what lies behind the base?"""
    for tp, start in starts.items():
        if base is None:
            _require_whole(tp, start, FIRST_EPOCH)
        elif base.folded_to[tp.partition] < start:
            raise LogCutError(
                f"{tp.topic}/{tp.partition} begins at offset {start}: retention has taken records behind {base.path}, "
                f"which was taken at offset {base.folded_to[tp.partition]}"
            )
        elif base.folded_to[tp.partition] > ends[tp]:
            raise _other_log(base, tp)


def _check_epoch(base: Base | None, tp: TopicPartition, epoch: int) -> None:
    """Has the log, whose rows are of `epoch`, lost none of what lies behind the base?"""
    if base is None:
        _require_whole(tp, 0, epoch)
    elif 0 < base.epochs[tp.partition] < epoch:
        raise _other_log(base, tp)


def _require_whole(tp: TopicPartition, begin: int, epoch: int) -> None:
    if why := why_not_whole(tp, begin, epoch):
        raise LogCutError(f"{why}. Without them or a base nothing can be folded again")


def _other_log(base: Base, tp: TopicPartition) -> CannotVerifyError:
    return CannotVerifyError(
        f"{base.path} was taken at offset {base.folded_to[tp.partition]} of {tp.topic}/{tp.partition} in epoch "
        f"{base.epochs[tp.partition]}: it is the base of another log, or the log has lost its end"
    )


async def _verify_partition(
    task: _Task, tp: TopicPartition, report: VerifyReport, on_progress: Callable[[], None]
) -> ExpectedLetters:
    """Verify one partition but for its dead letters, which are returned."""
    number = tp.partition
    report.partitions += 1
    rows = TopicPartition(task.topics.rows, number)
    live, found = await read_live_rows(task.brokers, task.fresh_fold(number), rows, task.leads)
    _check_epoch(task.base, tp, live.bounds.epoch)
    report.differences += found
    fold = task.fresh_fold(number)
    transitions_from = 0 if task.base is None else task.base.restore(number, fold, task.leads)
    span = Span(bounds_of(fold), live.bounds)
    end = (await log_end(task.brokers, [tp]))[tp]  # after the rows: a worker goes on meanwhile
    report.differences += _ahead_of_log(rows, span.live, end)
    known = {"the base knew": span.base.folded_to, "the group has committed": task.committed.get(tp, 0)}
    for who, offset in known.items():
        if span.live.folded_to < offset:
            where, at = f"{rows.topic}/{number}", f"at offset {span.live.folded_to}"
            report.differences.append(Difference(where, "partition's own row", at, f"{offset}: {who} it"))
    transitions = TransitionsCheck(task.brokers, TopicPartition(task.topics.transitions, number), span, report)
    await transitions.read(task.leads, transitions_from)
    if task.save is not None:
        task.save.add(number, live, transitions.next_start)
    replay = Replay(fold, live.rows, span, report, on_transition=transitions.compare, only=task.leads)
    first = span.base.folded_to
    stop = max(first, min(span.live.stop, end))
    async for record in read_log(task.brokers, [tp], start={tp: first}, stop={tp: stop}):
        replay.take(record)
        if report.records % _PROGRESS_EVERY == 0:
            on_progress()
    letters = replay.finish()
    await transitions.finish()
    return letters


def _ahead_of_log(rows: TopicPartition, live: Bounds, end: int) -> list[Difference]:
    """Rows that know records which the log does not have: it was truncated, or made anew."""
    ends = f"{end}: it ends there"
    found = []
    if live.folded_to > end:
        found.append(
            Difference(f"{rows.topic}/{rows.partition}", "partition's own row", f"at offset {live.folded_to}", ends)
        )
    for key, bound in live.ahead.items():
        if bound >= end:
            where = f"lead {key.decode(errors='backslashreplace')}"
            found.append(Difference(where, "newest record that its row knows", f"at offset {bound}", ends))
    return found
