"""`python -m tests.simulator SEED` plays one run and prints its schedule; `FIRST-LAST` many, and those that fail."""

import argparse
import sys

from tests.simulator.play import failed, play


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("seeds", type=_seeds, metavar="SEED|FIRST-LAST")
    seeds: range = parser.parse_args().seeds
    if len(seeds) == 1:
        run, broken = play(seeds[0])
        print("\n".join([*run.trace, "", *(broken or ["every promise was kept"])]))
        return 1 if broken else 0
    found = failed(seeds)
    for seed, broken in found.items():
        print(f"seed {seed}: {broken[0]} ({len(broken)} in all)")
    print(f"{len(found)} of {len(seeds)} seeds failed")
    return 1 if found else 0


def _seeds(text: str) -> range:
    first, _, last = text.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    if not seeds:
        raise argparse.ArgumentTypeError("the last seed is before the first")
    return seeds


if __name__ == "__main__":
    sys.exit(main())
