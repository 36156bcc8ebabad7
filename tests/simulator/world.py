"""Kafka as workers see it: a log, a changelog, outputs and a group; every answer comes when the schedule says so.

What is modelled, from measurements of Apache Kafka and of Faust's group handling (streams/engine/README.md):

- A request reaches the broker, or is lost; its answer reaches the worker, or is lost. A worker may die in between.
- A producer is not fenced: a worker that was paused for longer than its session goes on writing when it wakes up.
- Records of one producer to one partition keep their order. Without idempotence a retry may write a batch twice.
- A rebalance is eager: all members give up all partitions, then a new generation shares them out. A member that does not
  answer is thrown out. Heartbeats and commits of an older generation are refused.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Logged(NamedTuple):
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(eq=False)
class Request:
    """On its way to the broker (`applied` False) or back."""

    name: str
    worker: str
    apply: Callable[[], Any]
    answer: Callable[[Any], None]
    fail: Callable[[BaseException], None]
    queue: tuple[str, str, int] | None = None  # requests of a queue reach the broker in their order
    applied: bool = False
    result: Any = None


@dataclass
class Group:
    """`generation` of `members`; `joining` is not empty during a rebalance."""

    generation: int = 0
    members: set[str] = field(default_factory=set)
    joined: set[str] = field(default_factory=set)
    rebalancing: bool = False
    committed: dict[int, int] = field(default_factory=dict)

    def knows(self, worker: str, generation: int) -> bool:
        return worker in self.members and generation == self.generation


class World:
    def __init__(self, partitions: int, now_ms: int) -> None:
        self.partitions = partitions
        self.now_ms = now_ms
        self.log: dict[int, list[Logged]] = {number: [] for number in range(partitions)}
        self.changelog: dict[int, list[Logged]] = {number: [] for number in range(partitions)}
        self.outputs: dict[tuple[str, int], list[tuple[bytes, bytes | None]]] = defaultdict(list)
        self.group = Group()
        self.requests: list[Request] = []
        self.broken: list[str] = []  # promises that were broken on the way

    def append(self, partition: int, key: bytes | None, value: bytes | None) -> int:
        """To the events topic, at the time of the broker."""
        log = self.log[partition]
        log.append(Logged(len(log), self.now_ms, key, value))
        return len(log) - 1

    def produce(self, topic: str, partition: int, records: list[tuple[bytes, bytes | None]]) -> int:
        """Returns the offset of the first."""
        if topic == "events":
            return min([self.append(partition, key, value) for key, value in records])
        if topic == "rows":
            rows = self.changelog[partition]
            base = len(rows)
            rows += [Logged(base + index, 0, key, value) for index, (key, value) in enumerate(records)]
            return base
        log = self.outputs[topic, partition]
        log += records
        return len(log) - len(records)

    def commit(self, worker: str, offsets: Mapping[int, int], generation: int) -> bool:
        if not self.group.knows(worker, generation):
            return False
        for partition, offset in offsets.items():
            before = self.group.committed.get(partition, 0)
            if offset < before:
                self.broken.append(f"{worker} moved the commit of partition {partition} back from {before} to {offset}")
            self.group.committed[partition] = offset
        return True

    def first_in_queue(self, request: Request) -> bool:
        if request.queue is None:
            return True
        return next(each for each in self.requests if each.queue == request.queue and not each.applied) is request
