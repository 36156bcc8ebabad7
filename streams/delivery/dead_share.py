"""When a part stops rather than emptying a topic into the dead letters. No I/O, no clock.

Bad records come one by one; when most of them are suddenly bad, it is the reader that is wrong: a deploy, a URL, a secret.
Then it is better to stop and lag. What was dead-lettered until then is kept whole and can be replayed, and what the part had
in hand is not committed: whoever starts it again, however often, loses nothing. The count begins anew with the process, so
each start dead-letters less than `LEAST_SEEN` records before it judges.
"""

from collections import deque
from dataclasses import dataclass, field

WINDOW = 1_000  # records
LEAST_SEEN = 100
DEFAULT_LIMIT = 0.5
NEVER = 1.0  # as a limit: no share is above it
_SHOWN_DETAIL = 300


@dataclass(slots=True)
class DeadShare:
    """Of the newest records how many became dead letters: of the newest `WINDOW`, in whole batches and no fewer.

    `limit`: the share above which it is too large.
    """

    limit: float = DEFAULT_LIMIT
    seen: int = 0
    dead: int = 0
    _batches: deque[tuple[int, int]] = field(default_factory=deque)

    def add(self, seen: int, dead: int) -> None:
        """A batch of `seen` records, of which `dead` became dead letters."""
        if not seen:
            return
        self._batches.append((seen, dead))
        self.seen += seen
        self.dead += dead
        while self.seen - self._batches[0][0] >= WINDOW:
            old_seen, old_dead = self._batches.popleft()
            self.seen -= old_seen
            self.dead -= old_dead

    @property
    def too_large(self) -> bool:
        return self.seen >= LEAST_SEEN and self.dead > self.limit * self.seen

    def why_it_stops(self, setting: str, letter_id: str, reason: str, detail: str) -> str:
        """One line: the share, the newest letter, what to do. `setting` is where the limit stands."""
        shown = " ".join(detail.split())
        return (
            f"{self.dead:,} of the latest {self.seen:,} records became dead letters, more than {setting} = "
            f"{self.limit:g} allows; the newest: {letter_id}: {reason}: {shown[:_SHOWN_DETAIL]}. So many look like a bad "
            "deploy or a wrong setting, not like bad data: mend it and start again, nothing of this batch was committed. "
            f"If the data is bad, {setting} = 1.0 makes dead letters of all of it"
        )
