"""`leadstream verify` beside the faults, each time from the base that the last one left: it has to hold at any moment."""

import asyncio
from collections import Counter

from streams.cli.exits import UNREACHABLE
from tests.chaos.site import Site

DAY_SECONDS = 20.0  # of a night and the day before it
DAMAGED = ": record is unreadable"  # what garbage in the rows is, until it is mended


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
        code, out, err = await self._site.parts.leadstream("verify", *options)
        if code == 0:
            self.came_to["equal"] += 1
        elif code == UNREACHABLE and not calm:
            self.came_to["broker away"] += 1
        elif DAMAGED in out and len(out.splitlines()) == 2 and not calm:
            self.came_to["damage named"] += 1
        else:
            self._site.complaints.add(f"verify {' '.join(options)} ended with {code}: {out[-1500:]}{err[-500:]}")
