"""The numbers of docs/performance.md: `python -m tests.bench [NAME ...]`, without a name all of them."""

import argparse
import asyncio
import time

from tests.bench import (
    checkpoints,
    flood,
    fold,
    latency,
    low_rate,
    rebalance,
    rows,
    score_command,
    setup,
    spool,
    throughput,
)

BENCHES = {
    "fold": fold.run,
    "score": score_command.run,
    "throughput": throughput.run,
    "checkpoints": checkpoints.run,
    "low_rate": low_rate.run,
    "latency": latency.run,
    "rows": rows.run,
    "rebalance": rebalance.run,
    "spool": spool.run,
    "flood": flood.run,
}


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHES))
    names = parser.parse_args().names or list(BENCHES)
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        parser.error(f"no bench {unknown[0]!r}; there are: {', '.join(BENCHES)}")
    print(setup.machine())
    for name in names:
        started = time.monotonic()
        await BENCHES[name]()
        print(f"  ({name}: {time.monotonic() - started:.0f} s)", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
