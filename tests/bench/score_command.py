"""`leadstream score` of the 6,000-line access log, start of the process included."""

import asyncio
import sys
import time
from asyncio.subprocess import DEVNULL
from pathlib import Path

from tests.bench.setup import show
from tests.shared_material import SHARED

ROUNDS = 3
ROOT = Path(__file__).parents[2]


async def run() -> None:
    log = SHARED / "data" / "access.log"
    if not log.exists():
        show("leadstream score", {"NOT MEASURED": f"{log} is missing; set SHARED_MATERIAL to the folder that has it"})
        return
    taken = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        command = [sys.executable, "-m", "streams", "score", str(log)]
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=DEVNULL, stderr=DEVNULL)
        if await process.wait() != 0:
            raise RuntimeError(f"{' '.join(command)} ended with exit code {process.returncode}")
        taken.append(time.perf_counter() - started)
    show(
        "leadstream score of the 6,000-line log, start included",
        {"best and worst of 3": f"{min(taken):.2f} s, {max(taken):.2f} s"},
    )


if __name__ == "__main__":
    asyncio.run(run())
