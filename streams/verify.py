"""Proves that the state is what the log says: every partition's log, folded again from its first record, gives the rows
of the changelog, the transitions and the dead letters. Reads only; a worker may run meanwhile.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from aiokafka import TopicPartition

from processors.fold_partition import PartitionFold
from schemas.keys import partition_of
from streams.brokers import Brokers
from streams.compare_outputs import LettersCheck, TransitionsCheck
from streams.live_rows import read_live_rows
from streams.log_reader import log_end, log_start, read_log
from streams.model_records import FirstModels, first_models
from streams.replay import Replay
from streams.topics import Topics
from streams.verify_report import VerifyReport

Progress = Callable[[int, int], None]
"""Called with the number of records folded so far, and how many there are."""

_PROGRESS_EVERY = 1000


class CannotVerifyError(RuntimeError):
    """The log does not reach back to its first record."""


@dataclass(frozen=True, slots=True)
class _Task:
    """What is verified: of which broker and topics, and with `leads` only these keys."""

    brokers: Brokers
    topics: Topics
    partitions: int
    leads: Collection[bytes] | None
    models: FirstModels


async def verify(
    brokers: Brokers,
    topics: Topics,
    partitions: int,
    *,
    leads: Collection[bytes] | None = None,
    on_progress: Progress = lambda _done, _total: None,
) -> VerifyReport:
    """Compare state and log, one partition at a time: twice the rows of one partition is what is held in memory.

    All topics have so many `partitions`. `leads`: only these keys, and only the partitions where they live.

    Raises:
        CannotVerifyError: retention has taken the beginning of a log.
        LogStalledError, aiokafka.errors.KafkaError: the broker is away.
        OldFoldError: the log was written for a newer fold.
    """
    numbers = sorted(range(partitions) if leads is None else {partition_of(key, partitions) for key in leads})
    events = [TopicPartition(topics.events, number) for number in numbers]
    for tp, start in (await log_start(brokers, events)).items():
        if start > 0:
            raise CannotVerifyError(
                f"{tp.topic}/{tp.partition} begins at offset {start}: retention has taken its first records, and "
                "without them nothing can be folded again"
            )
    models = await first_models(brokers, topics, partitions)
    task = _Task(brokers, topics, partitions, leads, models)
    total = sum((await log_end(brokers, events)).values())
    report, folded_to, letters = VerifyReport(), dict[int, int](), dict[str, str]()
    for tp in events:
        folded_to[tp.partition] = await _verify_partition(
            task, tp, report, letters, lambda: on_progress(report.records, total)
        )
    letters_topic = [TopicPartition(topics.dead_letters, number) for number in range(partitions)]
    await LettersCheck(brokers, letters_topic, topics.events, folded_to, leads).compare(letters, report)
    report.unfolded = max(0, sum((await log_end(brokers, events)).values()) - sum(folded_to.values()))
    on_progress(total, total)
    return report


async def _verify_partition(
    task: _Task, tp: TopicPartition, report: VerifyReport, letters: dict[str, str], on_progress: Callable[[], None]
) -> int:
    """Verify one partition; returns how far the log is folded by its own row."""
    number = tp.partition
    report.partitions += 1
    live, found = await read_live_rows(
        task.brokers, _fresh(task, number), TopicPartition(task.topics.rows, number), task.leads
    )
    report.differences += found
    transitions = TransitionsCheck(task.brokers, TopicPartition(task.topics.transitions, number), live, report)
    await transitions.read(task.leads)
    replay = Replay(_fresh(task, number), live, report, transitions.compare, task.leads)
    async for record in read_log(task.brokers, [tp], start={tp: 0}, stop={tp: live.stop}):
        replay.take(record)
        if report.records % _PROGRESS_EVERY == 0:
            on_progress()
    replay.finish()
    await transitions.finish()
    letters |= replay.letters
    return live.folded_to


def _fresh(task: _Task, number: int) -> PartitionFold:
    return PartitionFold(task.topics.events, number, task.partitions, task.models.get(number))
