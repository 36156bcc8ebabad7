"""What is done to a part by giving it too little: file descriptors, or memory."""

import asyncio
import random
import signal
import time

from tests.chaos.site import Ending, Site

PATIENCE_SECONDS = 40
WORKING_SECONDS = (3, 10)
FEW_DESCRIPTORS = (8, 18)  # a worker at work has 13, and more while it recovers
LITTLE_MEMORY_MIB = (60, 130)  # of address space
REASONS = (" stops: ", "ending the process", "Error", "leadstream: ")


async def short_of_descriptors(site: Site, random_: random.Random) -> None:
    await _short_of(site, random_, f"NOFILE {random_.randint(*FEW_DESCRIPTORS)}")


async def short_of_memory(site: Site, random_: random.Random) -> None:
    await _short_of(site, random_, f"AS {random_.randint(*LITTLE_MEMORY_MIB) << 20}")


async def _short_of(site: Site, random_: random.Random, limit: str) -> None:
    """A part that is started with this works, or ends and says why. With some limits it does so only when its watch gives
    up, which nobody waits for here; a collector may go on refusing.
    """
    name = random_.choice(sorted(site.wanted))
    site.next_start[name] = {"LIMIT": limit}
    site.say(f"  {name} with {limit}")
    site.send(name, signal.SIGKILL)
    await site.ending(lambda which, _: which == name, 5)
    endings = site.endings.setdefault(name, [])
    started, until, works = len(endings), time.monotonic() + PATIENCE_SECONDS, False
    while len(endings) == started and time.monotonic() < until:
        if not works and await site.is_ready(name):
            site.say("  it can work")
            works, until = True, time.monotonic() + random_.uniform(*WORKING_SECONDS)
        await asyncio.sleep(0.5)
    if len(endings) > started:
        if not gives_a_reason(endings[started]):
            site.complaints.add(f"with {limit} {name} ended with {endings[started].code} and no reason")
    elif works:
        site.send(name, signal.SIGTERM)
    else:
        site.say("  it does not get on")
        site.send(name, signal.SIGKILL)


def gives_a_reason(ending: Ending) -> bool:
    """Without memory Python or a library may end it by a signal: the reason is then where it was."""
    if ending.code in {-signal.SIGABRT, -signal.SIGSEGV}:
        return "Fatal Python error: " in ending.said
    return ending.code > 0 and any(word in ending.said for word in REASONS)
