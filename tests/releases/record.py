"""`python -m tests.releases.record NAME` keeps what this build writes in tests/releases/NAME; do it once per release."""

import json
import random
import shutil
import sys
from base64 import b64encode
from collections.abc import Iterable
from pathlib import Path

from processors.fold_partition import PartitionFold
from processors.model_log import model_activated
from processors.models import load_shipped
from schemas.codec import encode
from schemas.keys import CONTROL_KEY
from tests.bench.traffic import START_MS, records
from tests.processors.history import Logged

HERE = Path(__file__).parent
AVRO = HERE.parents[1] / "schemas" / "avro"
DAY_MS = 86_400_000


def history() -> list[Logged]:
    """40 days of six leads with the reference model: acts, repeats, ticks, answers of sales, garbage, a second model."""
    random_ = random.Random(1)
    model = load_shipped("reference")
    log: list[tuple[int, bytes, bytes]] = [
        (START_MS, CONTROL_KEY, encode("Epoch", {"epoch": 1})),
        (START_MS, CONTROL_KEY, encode("ModelActivated", model_activated(model, 1))),
    ]
    for number, act in enumerate(records(160, 6, 40.0)):
        log.append((act.timestamp, act.key, act.value))
        if number % 9 == 0:
            log.append((act.timestamp, CONTROL_KEY, encode("Tick", {})))
        if number % 23 == 5:
            answer = {"word": random_.choice(["accepted", "lost"]), "system": "crm", "object": "o", "version": number}
            log.append(
                (act.timestamp, act.key, encode("Feedback", {**answer, "silent": False, "user": None, "reason": None}))
            )
        if number % 40 == 7:
            log += [(act.timestamp, act.key, act.value), (act.timestamp, act.key, b"{garbage")]
        if number == 80:
            changed = model.replace("points: 15", "points: 25")
            log.append((act.timestamp, CONTROL_KEY, encode("ModelActivated", model_activated(changed, 2))))
    return [Logged(offset, *record) for offset, record in enumerate(log)]


def main(name: str) -> None:
    folder = HERE / name
    shutil.copytree(AVRO, folder / "avro")
    log = history()
    half = len(log) // 2
    fold = PartitionFold("events", 0, 1)
    before = [one for record in log[:half] for one in fold.fold([record])]
    changelog = fold.take_checkpoint(half)
    after = [one for record in log[half:] for one in fold.fold([record])]
    snapshots = fold.take_snapshots()
    _write(folder / "log.jsonl", [(record.timestamp, record.key, record.value) for record in log])
    _write(folder / "changelog.jsonl", changelog)
    _write(folder / "outputs.jsonl", [(one.kind, one.key, one.value) for one in [*before, *after, *snapshots]])
    _write(folder / "rows.jsonl", fold.take_checkpoint(len(log)))


def _write(path: Path, records: Iterable[tuple[object, ...]]) -> None:
    lines = [
        json.dumps([b64encode(part).decode() if isinstance(part, bytes) else part for part in each]) for each in records
    ]
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
