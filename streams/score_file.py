"""Score a file without a broker: read, fold, price."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from processors.play import Play
from processors.price import Price
from schemas.records import Part, StageTransition
from sources.completion import Completion
from sources.event_file import read_event_file
from sources.played import PlayedRecord, Problem

# Leads known by an e-mail alone are keyed by its hash; a file is scored on its own, so any constant will do.
_FILE_SECRET = b"leadstream score"
_CONTROL = frozenset({"model", "tick"})  # outcomes of what `Play` itself puts into the log


class ScoredLead(TypedDict):
    """One lead at the end of the file. `rules`, `groups` and `dimensions` are points, `tags` weights."""

    id: str
    score: float
    raw: float
    fit: float
    grade: str
    stage: str
    known: bool
    rules: dict[str, float]
    groups: dict[str, float]
    dimensions: dict[str, float]
    tags: dict[str, float]
    rfm: dict[str, int]
    transitions: list[StageTransition]


@dataclass(slots=True)
class Scored:
    """What a file came to.

    Attributes:
        lines: blank ones are not counted.
        silent: lines that tell of no act: images, errors, posts.
        later: records after the wanted time, left out.
        problems: (line, what is wrong).
        outcomes: what became of each record that was folded: an `Outcome`, or the reason of a dead letter.
    """

    now: int
    lines: int = 0
    silent: int = 0
    records: int = 0
    later: int = 0
    problems: list[tuple[int, Problem]] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    leads: list[tuple[ScoredLead, list[Part]]] = field(default_factory=list)


def score_file(path: Path, model: str, at: int | None, progress: Callable[[int], None]) -> Scored:
    """Play a file in its order. `at` (ms UTC): the time to score at, by default that of the last record.

    Raises:
        OSError: the file cannot be read.
        ModelRecordError: `model` is no model file.
    """
    play, scored = Play(model), Scored(0)

    def count(number: int) -> None:
        scored.lines += 1
        scored.silent += 1  # until it gives a record
        if number % 1000 == 0:
            progress(number)

    told = 0
    for number, read in read_event_file(path, Completion(_FILE_SECRET), count):
        if number != told:  # a line may hold a batch
            scored.silent -= 1
            told = number
        if isinstance(read, Problem):
            scored.problems.append((number, read))
            continue
        scored.records += 1
        if at is not None and read.timestamp_ms > at:
            scored.later += 1
        else:
            _take(play, read)
    play.advance(play.now if at is None else at)
    scored.now = play.now
    scored.outcomes.update({outcome: n for outcome, n in play.outcomes.items() if outcome not in _CONTROL})
    scored.leads = sorted(_leads(play), key=lambda lead: (-lead[0]["score"], -lead[0]["raw"], lead[0]["id"]))
    return scored


def _take(play: Play, read: PlayedRecord) -> None:
    play.take(read.key, read.kind, read.record, read.timestamp_ms)


def _leads(play: Play) -> Iterator[tuple[ScoredLead, list[Part]]]:
    model = play.model
    for key, row, price in play.leads():
        lead = ScoredLead(
            id=key[1:].decode("utf-8", "replace"),
            score=price.score,
            raw=price.raw,
            fit=price.fit,
            grade=price.grade,
            stage=row.stage,
            known=price.known,
            rules={line.id: round(line.points, 6) for line in price.lines if line.kind == "rule"},
            groups={name: price.group(name) for name in model.groups},
            dimensions={name: price.dimension(name) for name in model.dimensions},
            tags=_tags(price, [tag.id for tag in model.tags]),
            rfm={name: price.rfm(name) for name in ("recency", "frequency", "depth")},
            transitions=play.transitions.get(key, []),
        )
        yield lead, price.receipt()


def _tags(price: Price, names: list[str]) -> dict[str, float]:
    return {name: weight for name in names if (weight := price.tag(name))}
