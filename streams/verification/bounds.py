"""How far into its partition's log each row is (docs/fold.md 8.1). Offsets of the events topic."""

from dataclasses import dataclass, field

from processors.fold_partition import PartitionFold


@dataclass(slots=True)
class Bounds:
    """A row is judged as of its bound: what stands behind it in the log is not in the row yet.

    Attributes:
        folded_to: C of the partition's own row; 0: there is none.
        epoch: of that row.
        ahead: rows that know records behind C: a worker has written them, but not yet its own row.
    """

    folded_to: int = 0
    epoch: int = 0
    ahead: dict[bytes, int] = field(default_factory=dict)

    def bound(self, key: bytes) -> int:
        return self.ahead.get(key, self.folded_to - 1)

    @property
    def stop(self) -> int:
        """The offset behind the highest bound."""
        return max([self.folded_to, *(bound + 1 for bound in self.ahead.values())])


def bounds_of(fold: PartitionFold) -> Bounds:
    """Of a fold that was just restored."""
    bounds = Bounds(fold.next_offset or 0, fold.epoch)
    headers = {key: header for key in fold.rows.all_keys() if (header := fold.rows.header(key)) is not None}
    epoch = max([fold.epoch, *(header.version[0] for header in headers.values())])
    for key, header in headers.items():
        if header.version[0] == epoch and header.version[1] >= bounds.folded_to:
            bounds.ahead[key] = header.version[1]
    return bounds


@dataclass(frozen=True, slots=True)
class Span:
    """What a verification judges of one partition: what lies behind `base`, up to `live`."""

    base: Bounds
    live: Bounds

    def covers(self, key: bytes | None, offset: int) -> bool:
        """Has the row of `key` come to know the record at `offset` within the span? Without a row: has the partition?"""
        return self.base.bound(key or b"") < offset <= self.live.bound(key or b"")
