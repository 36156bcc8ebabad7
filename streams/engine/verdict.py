"""Whether a worker has work and does not do it: what its watchdog asks."""

from dataclasses import dataclass, field

FAILED_GRACE_SECONDS = 10.0


@dataclass(slots=True)
class Progress:
    """Since when there is work and `value` does not change. None: no work, or it moves."""

    value: object = None
    stuck_since: float | None = None

    def update(self, value: object, *, work: bool, now: float) -> None:
        if not work:
            self.stuck_since = None
        elif self.stuck_since is None or value != self.value:
            self.stuck_since = now
        self.value = value

    def stuck_seconds(self, now: float) -> float:
        """0.0: no work, or it moves."""
        return 0.0 if self.stuck_since is None else now - self.stuck_since


@dataclass(slots=True)
class Vitals:
    """What the event loop tells the watchdog; all times are monotonic seconds."""

    folding: Progress = field(default_factory=Progress)
    checkpoints: Progress = field(default_factory=Progress)
    recovery: Progress = field(default_factory=Progress)
    rebalance: Progress = field(default_factory=Progress)
    joining: Progress = field(default_factory=Progress)
    fetching: Progress = field(default_factory=Progress)
    failed_at: float | None = None
    failure: str = ""
    stopping_at: float | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    stall_seconds: float
    drain_seconds: float
    rebalance_timeout_seconds: float


def verdict(vitals: Vitals, now: float, limits: Limits) -> str | None:
    """Why the process must end, or None."""
    stall_seconds, drain_seconds = limits.stall_seconds, limits.drain_seconds
    if vitals.failed_at is not None and now - vitals.failed_at > FAILED_GRACE_SECONDS:
        return f"the worker failed but did not end: {vitals.failure}"
    if vitals.stopping_at is not None and now - vitals.stopping_at > drain_seconds + FAILED_GRACE_SECONDS:
        return f"the worker did not stop within {drain_seconds:g} s; what was not committed will be folded again"
    watched = (
        ("no record was folded", vitals.folding, stall_seconds),
        ("no checkpoint was completed", vitals.checkpoints, stall_seconds),
        ("recovery did not move", vitals.recovery, stall_seconds),
        ("no fetch was answered", vitals.fetching, stall_seconds),
        ("a rebalance did not end", vitals.rebalance, stall_seconds + limits.rebalance_timeout_seconds),
        ("the group gave no partitions", vitals.joining, stall_seconds + limits.rebalance_timeout_seconds),
    )
    for what, progress, limit in watched:
        since = progress.stuck_since
        if since is not None and now - since > limit:
            return f"{what} for {now - since:.0f} s although there is work"
    return None
