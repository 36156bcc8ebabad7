"""What `verify` found, as data; the command line and the demo print it."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Difference:
    """`where` names the lead, transition or record; `live` is what the topics hold, `replayed` what the log gives."""

    where: str
    what: str
    live: str
    replayed: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what} is {self.live}, the log gives {self.replayed}"


@dataclass(slots=True)
class VerifyReport:
    """Counts are over all partitions that were verified.

    Attributes:
        records: of the log, that were folded again.
        leads: rows that stand in the changelog or come out of the log; `unequal_leads` of them differ.
        transitions: that come out of the log; of these `missing` are not on their topic, `unequal_transitions` have
            other bytes there. `extra`: on the topic, but not of the log.
        accepted: events in the log as far as it is folded. Each was counted (`scored`), refused into the dead letters
            (`dead_letters`), or left out for the reason in `dropped`.
        lost: accepted events that the live rows do not count although the log says so, and refused records without
            their dead letter.
        counted_twice: events that the live rows count more often than the log says, or the fold counted again.
        unfolded: records of the log that no row knows yet.
        expired_letters: dead letters that are missing and so old that retention may have taken them.
        base_at_ms: when the base was taken (UTC) behind which all this was looked at; None: from the first record.
        trusted_at_ms: what the rows held then was taken on trust; None: nothing was.
        base_left: the file from which the next verification may go on; None: none was wanted, or something differs.
    """

    partitions: int = 0
    records: int = 0
    leads: int = 0
    unequal_leads: int = 0
    transitions: int = 0
    unequal_transitions: int = 0
    missing: int = 0
    extra: int = 0
    accepted: int = 0
    scored: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    dead_letters: int = 0
    expired_letters: int = 0
    lost: int = 0
    counted_twice: int = 0
    unfolded: int = 0
    base_at_ms: int | None = None
    trusted_at_ms: int | None = None
    base_left: str | None = None
    differences: list[Difference] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Nothing differs, nothing is lost, nothing counts twice."""
        return not (self.differences or self.lost or self.counted_twice)
