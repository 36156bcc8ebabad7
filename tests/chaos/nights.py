"""`leadstream verify` beside the faults, each time from the base that the last one left: it has to hold at any moment."""

import asyncio
import json
from collections import Counter
from collections.abc import Collection

from streams.cli.exits import FINDING, UNREACHABLE
from tests.chaos.site import Site

DAY_SECONDS = 20.0  # of a night and the day before it


class Nights:
    """`came_to`: how often it found all equal, damage that a fault had just done, or no broker."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._bases = str(site.parts.logs / "bases")
        self.came_to: Counter[str] = Counter()

    async def run(self) -> None:
        while True:
            await asyncio.sleep(DAY_SECONDS)
            await self._verify("--bases", self._bases)

    async def last(self) -> None:
        """When all is quiet: from the last base, and from the first record."""
        await self._verify("--bases", self._bases, calm=True)
        await self._verify(calm=True)

    async def _verify(self, *options: str, calm: bool = False) -> None:
        code, out, err = await self._site.parts.leadstream("verify", "--json", *options)
        what = came_to(code, out, self._site.damaged)
        if what is None or (calm and what != "equal"):
            self._site.complaints.add(f"verify {' '.join(options)} ended with {code}: {out[-1500:]}{err[-500:]}")
        else:
            self.came_to[what] += 1


def came_to(code: int | None, out: str, damaged: Collection[str]) -> str | None:
    """None: what it found must not be. `damaged`: records of the rows that a fault has made unreadable."""
    if code == UNREACHABLE:
        return "broker away"
    report = json.loads(out) if code in (0, FINDING) and out.startswith("{") else {}
    if code == 0:
        return "equal" if report.get("equal") else None
    match report:
        case {"differences": [{"where": where, "what": "record"}], "lost": 0, "counted_twice": 0} if where in damaged:
            return "damage named"
    return None
