"""What the engine asks of the product: the memory of one partition for one assignment.

The engine moves bytes: it recovers this memory from the changelog, hands it every fetched batch once and in order,
sends what comes out, and writes what changed at a checkpoint. What a record means, and what is skipped because the row
is already ahead of it, is decided behind this protocol (`processors/`), without Faust, I/O or a clock.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from schemas.records import LogRecord


class Output(NamedTuple):
    """A record to send; `partition` None: by the key."""

    topic: str
    key: bytes
    value: bytes | None
    partition: int | None = None


class CorruptRowError(ValueError):
    """A changelog record that cannot be read. If no later one of its key can, the worker exits: guessing would lose points."""


class StopWorkerError(Exception):
    """The product says that going on would do harm; the text is the reason. Nothing of the batch is sent or committed."""


class PartitionState(Protocol):
    """Always a new object per assignment; nothing of an older one is used again."""

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take one changelog record, in log order. Of several for a key the one with the highest version wins; a null
        value removes what came before it.

        Raises:
            CorruptRowError: naming the key and what is wrong.
        """

    def restored(self) -> None:
        """After the last `restore`: build the wake-ups, mark winners that an older record followed as dirty."""

    @property
    def next_offset(self) -> int | None:
        """C of the restored `part` record: the log is folded up to here. None: nothing was ever folded."""

    @property
    def epoch(self) -> int:
        """Of the restored `part` record; 0: there is none."""

    @property
    def newest_row_offset(self) -> int:
        """Highest offset of a restored row version of the current epoch; -1 if there is none."""

    def fold(self, records: Sequence[LogRecord]) -> list[Output]:
        """Fold records in offset order; returns transitions and dead letters, to be sent at once.

        Never raises for bad input; an exception is a bug and stops the worker before anything is committed.

        Raises:
            StopWorkerError: the worker stops, for the reason it has.
        """

    def take_snapshots(self) -> list[Output]:
        """One snapshot for each lead changed since the last call."""

    def take_checkpoint(self, next_offset: int) -> list[tuple[bytes, bytes | None]]:
        """The changelog records that bring the changelog to `next_offset`: every dirty row, `part` last. Synchronous;
        clears the dirty set.
        """

    def wake_at_ms(self) -> int | None:
        """When the clock has passed this, the owner writes a tick. None: nothing waits."""
