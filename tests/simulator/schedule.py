"""What happens next in a simulated run, drawn from a seed: the same seed, the same run."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from tests.simulator.loop import SimulatedLoop
from tests.simulator.traffic import HOUR_MS, START_MS, Record, Traffic
from tests.simulator.worker import RUNNING, BrokerError, SimulatedWorker
from tests.simulator.world import Request, World

STEPS = 250
HARM = 0.06  # of the steps
MAX_CALM_STEPS = 4_000  # far more than the rest of any run needs
MAX_WORKERS = 3

Action = tuple[str, Callable[[], None]]


@dataclass(frozen=True)
class Faults:
    """Which kinds of trouble a run has."""

    crashes: bool = False
    pauses: bool = False
    errors: bool = False  # requests that fail, answers that are lost, deadlines that pass
    repeats: bool = False  # a producer without idempotence

    @classmethod
    def drawn(cls, random_: random.Random) -> "Faults":
        """One run in five has none: workers come and go in peace."""
        if random_.random() < 0.2:
            return cls()
        return cls(*(random_.random() < chance for chance in (0.7, 0.6, 0.4, 0.3)))

    @property
    def none(self) -> bool:
        return self == Faults()


class StuckError(AssertionError):
    """The run does not come to its end."""


class Run:
    """One run: `play` it, then look at `world`, or read `trace`."""

    def __init__(self, seed: int, faults: Faults | None = None) -> None:
        self._random = random.Random(seed)
        self.faults = faults or Faults.drawn(self._random)
        self.trace: list[str] = []
        self.world = World(self._random.choice([1, 2]), START_MS)
        self.workers: dict[str, SimulatedWorker] = {}
        self._started = 0
        self._loop = SimulatedLoop(RUNNING.get)  # type: ignore[abstract]  # what it lacks nobody asks for
        self._traffic = Traffic(self._random, self.world.partitions)

    def play(self) -> "Run":
        """Random actions, then the calm in which everything has to come right."""
        with self._loop.running():
            self._write(self._traffic.first())
            for _ in range(STEPS):
                self._step(self._wild())
            self.trace.append("-- calm --")
            for worker in list(self.workers.values()):
                worker.go_on()
            for _ in range(MAX_CALM_STEPS):
                actions = self._calm()
                if not actions and self._done():
                    return self
                if not actions and len(self.workers) >= MAX_WORKERS:
                    break
                self._step(actions or [("start", self._start)])
        raise StuckError("the log is not folded to its end, and nothing gets on")

    # --- one step ---

    def _step(self, actions: list[Action]) -> None:
        name, act = self._random.choice(actions)
        self.trace.append(name)
        act()
        self._loop.run_until_idle()
        for worker in list(self.workers.values()):
            if worker.failure:
                self.trace.append(f"  {worker.name} stops: {worker.failure}")
                self._crash(worker)

    def _wild(self) -> list[Action]:
        draw = self._random.random()
        if draw < HARM and (harm := [action for kind in self._harm() if (action := self._one_of(kind)) is not None]):
            return harm
        if draw < 0.25:
            return [("records", self._records)] * 4 + [("time passes", self._time_passes)]
        work = list(self._work(timers=self._random.random() < 0.1))
        return work or [("start", self._start)]

    def _one_of(self, kind: list[Action]) -> Action | None:
        return self._random.choice(kind) if kind else None

    def _harm(self) -> Iterator[list[Action]]:
        """Kinds of trouble, and of coming and going."""
        faults, workers = self.faults, list(self.workers.values())
        yield [("start", self._start)] if len(workers) < MAX_WORKERS else []
        yield [(f"{each.name} SIGTERM", partial(self._stop, each)) for each in workers if not each.paused]
        if faults.crashes:
            yield [(f"{each.name} SIGKILL", partial(self._crash, each)) for each in workers]
        if faults.pauses:
            yield [(f"{each.name} paused", each.pause) for each in workers if not each.paused]
            yield [
                (f"{each.worker} paused when the group had answered", self.workers[each.worker].pause)
                for each in self._answered()
                if each.name == "heartbeat"
            ]
            yield [(f"{each.name} goes on", each.go_on) for each in workers if each.paused]
        if faults.errors:
            yield [(f"{each.worker} {each.name}: refused", partial(self._refuse, each)) for each in self._arriving()]
            yield [
                (f"{each.worker} {each.name}: answer lost", partial(self._refuse, each)) for each in self._answered()
            ]
            yield [
                (f"{name}: a deadline passes", partial(self._loop.expire, deadline))
                for deadline, name in self._loop.deadlines.items()
                if not self.workers[name].paused
            ]
        if faults.repeats:
            yield [
                (f"{each.worker} {each.name}: written twice", partial(self._reach, each, times=2))
                for each in self._arriving()
                if each.queue is not None
            ]

    def _calm(self) -> list[Action]:
        return list(self._work(timers=False))

    # --- what gets the work done ---

    def _work(self, *, timers: bool) -> Iterator[Action]:
        """`timers`: checkpoints and ticks also come when a timer brings them, not only when something is owed."""
        for request in self._arriving():
            yield f"{request.worker} {request.name}", partial(self._reach, request)
        for request in self._answered():
            yield f"{request.worker} {request.name}: answered", partial(self._answer, request)
        for worker in self.workers.values():
            if not (worker.paused or worker.held):
                yield from self._steps_of(worker, timers=timers)
            if worker.ending is not None and worker.ending.done():
                yield f"{worker.name} has left", partial(self._leave, worker)
        yield from self._group()

    def _steps_of(self, worker: SimulatedWorker, *, timers: bool) -> Iterator[Action]:
        for partition in worker.partitions:
            number = partition.number
            if partition.expected_offset < len(self.world.log[number]) and len(worker.buffered) < 4:
                count = self._random.randint(1, 8)
                yield f"{worker.name} fetches {count} of {number}", partial(worker.fetch, number, count)
        if worker.buffered:
            yield f"{worker.name} folds", worker.fold
        if (timers or worker.owes) and (worker.committing is None or worker.committing.done()):
            yield f"{worker.name} checkpoint", worker.commit
        if timers:
            yield f"{worker.name} tick", worker.tick

    def _group(self) -> Iterator[Action]:
        group = self.world.group
        for name in sorted(group.members):
            worker = self.workers.get(name)
            if worker is None or worker.paused:
                yield f"the session of {name} ends", partial(self._throw_out, name)
        for worker in self.workers.values():
            if worker.paused or worker.ending is not None:
                continue
            if worker.name not in group.members:  # its next heartbeat tells it
                yield f"{worker.name} joins again", partial(self._join, worker)
            if group.rebalancing and worker.name in group.members - group.joined:
                if worker.giving_up is None:
                    yield f"{worker.name} gives up", worker.give_up
                elif worker.giving_up.done():
                    yield f"{worker.name} has joined", partial(self._joined, worker)
        if group.rebalancing and group.members and group.joined >= group.members:
            yield "the group shares out", self._share_out

    def _join(self, worker: SimulatedWorker) -> None:
        self.world.group.members.add(worker.name)
        self._rebalance()

    def _rebalance(self) -> None:
        group = self.world.group
        if not group.rebalancing:
            group.rebalancing, group.joined = True, set()

    def _joined(self, worker: SimulatedWorker) -> None:
        worker.giving_up = None
        self.world.group.joined.add(worker.name)

    def _throw_out(self, name: str) -> None:
        group = self.world.group
        group.members.discard(name)
        group.joined.discard(name)
        self._rebalance()

    def _share_out(self) -> None:
        group = self.world.group
        group.generation += 1
        group.rebalancing = False
        names = sorted(group.members)
        shift = self._random.randrange(len(names))
        for index, name in enumerate(names):
            numbers = [n for n in range(self.world.partitions) if (n + shift) % len(names) == index]
            worker = self.workers.get(name)
            if worker is not None:
                worker.take(group.generation, numbers)

    # --- requests ---

    def _arriving(self) -> list[Request]:
        return [each for each in self.world.requests if not each.applied and self.world.first_in_queue(each)]

    def _answered(self) -> list[Request]:
        return [each for each in self.world.requests if each.applied and not self.workers[each.worker].paused]

    def _reach(self, request: Request, times: int = 1) -> None:
        for _ in range(times):
            request.result = request.apply()
        request.applied = True

    def _answer(self, request: Request) -> None:
        self.world.requests.remove(request)
        request.answer(request.result)

    def _refuse(self, request: Request) -> None:
        self.world.requests.remove(request)
        request.fail(BrokerError(request.name))

    # --- workers and the world ---

    def _start(self) -> None:
        self._started += 1
        worker = SimulatedWorker(f"w{self._started}", self.world, self._loop)
        self.workers[worker.name] = worker
        self._join(worker)

    def _stop(self, worker: SimulatedWorker) -> None:
        if worker.ending is None and not worker.paused:
            worker.end()

    def _leave(self, worker: SimulatedWorker) -> None:
        self._crash(worker)
        self._throw_out(worker.name)

    def _crash(self, worker: SimulatedWorker) -> None:
        """What is on its way may still arrive; nobody waits for the answers."""
        for request in [each for each in self.world.requests if each.worker == worker.name]:
            if not request.applied and self.world.first_in_queue(request) and self._random.random() < 0.5:
                self._reach(request)
        self.world.requests = [each for each in self.world.requests if each.worker != worker.name]
        for deadline in [each for each, name in self._loop.deadlines.items() if name == worker.name]:
            del self._loop.deadlines[deadline]
        worker.dead = True
        del self.workers[worker.name]

    def _records(self) -> None:
        for _ in range(self._random.randint(1, 4)):
            self._write(self._traffic.next(self.world.now_ms))

    def _write(self, records: list[tuple[int, Record]]) -> None:
        for partition, (key, value) in records:
            self.world.append(partition, key, value)

    def _time_passes(self) -> None:
        self.world.now_ms += self._random.choice([1, 1000, HOUR_MS, 12 * HOUR_MS, 36 * HOUR_MS])

    def _done(self) -> bool:
        """Everything in the log is folded and committed, and nothing is on its way."""
        group, log = self.world.group, self.world.log
        committed = all(group.committed.get(number) == len(log[number]) for number in log)
        return committed and not group.rebalancing and not self.world.requests and bool(self.workers)
