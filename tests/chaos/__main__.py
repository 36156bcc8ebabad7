"""`python -m tests.chaos --seconds 180 --seed 1 [--only FAULT,...] [--json]`: exit code 0 for OK and MORE, 1 for LESS."""

import argparse
import asyncio
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.chaos.check import Run, verdict_of, wrong_in
from tests.chaos.evidence import Evidence, evidence_of
from tests.chaos.faults import FAULTS, faults_of_a_run, left_out
from tests.chaos.load import load
from tests.chaos.nights import Nights
from tests.chaos.recovered import Recovery
from tests.chaos.site import Site

CALM_SECONDS = 180.0
QUIET_SECONDS = (2.0, 6.0)  # between two faults
RECOVERY_SECONDS = 120.0  # a part makes progress within, or ends


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=180, help="how long faults happen")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--only", help=f"of {', '.join(FAULTS)}; default: all, in a run of less than 600 s but the long ones"
    )
    parser.add_argument(
        "--logs",
        type=Path,
        help="a fresh directory where the parts write; kept if it is given, or if the verdict is LESS",
    )
    parser.add_argument("--json", action="store_true", help="end with the report as one line")
    options = parser.parse_args()
    names = faults_of_a_run(options.seconds) if options.only is None else options.only.split(",")
    if unknown := [name for name in names if name not in FAULTS]:
        parser.error(
            f"--only: no fault {', '.join(name or '(empty)' for name in unknown)}; there are {', '.join(FAULTS)}"
        )
    if options.logs and options.logs.exists() and any(options.logs.iterdir()):
        parser.error(
            f"--logs: {options.logs} is not empty, and what an earlier run left (a runner that was killed leaves "
            "its disks mounted) would mix with this one: name a fresh directory"
        )
    logs = (options.logs or Path(tempfile.mkdtemp(prefix="leadstream-chaos-"))).resolve()
    logs.mkdir(parents=True, exist_ok=True)
    report = asyncio.run(_run(options.seconds, options.seed, names, logs))
    for name, value in report.items():
        print(f"{name:<24} {value}")
    if options.json:
        print(json.dumps(report))
    failed = report["verdict"] == "LESS"
    if failed or options.logs:
        print(f"logs: {logs}")
    else:
        shutil.rmtree(logs)
    return 1 if failed else 0


async def _run(seconds: float, seed: int, names: list[str], logs: Path) -> dict[str, Any]:
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - started:7.1f} s  {text}", flush=True)

    random_ = random.Random(seed)
    done: Counter[str] = Counter()
    async with Site.running(logs, say) as site:
        say("all parts are ready")
        until = time.monotonic() + seconds
        supervising = asyncio.create_task(site.supervise())
        loading = asyncio.create_task(load(site, random.Random(seed), until))
        nights = Nights(site)
        verifying = asyncio.create_task(nights.run())
        impossible = left_out(site)
        names = [name for name in names if name not in impossible]
        recovery = Recovery(site)
        queue: list[str] = []
        while names and time.monotonic() < until:
            await recovery.wait(random_.choice([0, RECOVERY_SECONDS]))  # so that faults meet both calm and turmoil
            await asyncio.sleep(random_.uniform(*QUIET_SECONDS))
            if time.monotonic() >= until:
                break
            recovery.give_up()
            queue = queue or random_.sample(names, len(names))  # each as often as the others
            name = queue.pop()
            say(name.replace("_", " "))
            try:
                await FAULTS[name](site, random_)
            except Exception as error:  # noqa: BLE001 - whatever it is, the rest of the run has its verdict
                say(f"  it failed: {error!r}")
                site.complaints.add(f"the fault {name} failed: {error!r}")
            done[name] += 1
            recovery.measure(name)
        calm_at = time.monotonic()
        await loading
        await recovery.wait(RECOVERY_SECONDS)
        recovered, evidence = await _until_right(site, calm_at)
        await _end(verifying)
        await nights.last()
        verdict = verdict_of(evidence, Run(done, nights.came_to, site.complaints))
        say(f"verdict {verdict.word}, {recovered:.1f} s after the last fault")
        await _end(supervising)
    return {
        "verdict": verdict.word,
        "seed": seed,
        "seconds": round(seconds),
        "faults": dict(sorted(done.items())),
        "accepted": len(site.accepted),
        "not accepted, sent again": site.refused,
        **verdict.numbers,
        "left out": impossible,
        "not met": [name for name in names if name not in done],
        "restarts": {name: len(endings) for name, endings in sorted(site.endings.items())},
        "verify beside the faults": dict(sorted(nights.came_to.items())),
        "seconds until all right": round(recovered, 1),
        "seconds to recover": recovery.table(),
        "more": dict(verdict.more),
        "less": verdict.less[:20],
        "less, in all": len(verdict.less),
    }


async def _until_right(site: Site, calm_at: float) -> tuple[float, Evidence]:
    """Everybody may finish; what is wrong after that stays wrong."""
    while True:
        with suppress(OSError):
            evidence = await evidence_of(site)
            waited = time.monotonic() - calm_at
            if not wrong_in(evidence) or waited > CALM_SECONDS:
                return waited, evidence
        await asyncio.sleep(2)


async def _end(task: asyncio.Task[None]) -> None:
    """A task that goes on for ever; what it died of is raised."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


if __name__ == "__main__":
    sys.exit(main())
