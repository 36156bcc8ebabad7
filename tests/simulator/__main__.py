"""`python -m tests.simulator SEED` plays one run and prints its schedule; `FIRST-LAST` many, and those that fail."""

import sys

from tests.simulator.play import failed, play


def main(argument: str) -> int:
    first, _, last = argument.partition("-")
    if not last:
        run, broken = play(int(first))
        print("\n".join([*run.trace, "", *(broken or ["every promise was kept"])]))
        return 1 if broken else 0
    found = failed(range(int(first), int(last) + 1))
    for seed, broken in found.items():
        print(f"seed {seed}: {broken[0]} ({len(broken)} in all)")
    print(f"{len(found)} of {int(last) - int(first) + 1} seeds failed")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
