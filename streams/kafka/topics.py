"""The one table of topics and groups: names, clean-up, retention, timestamps."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

DAY_MS = 86_400_000
DEFAULT_HISTORY_MS = 400 * DAY_MS
DEAD_LETTERS_MS = 30 * DAY_MS
MESSAGE_BYTES = 1_048_588  # Kafka's own default; it has room for the largest event that the collector takes
_WORKER_GROUP = "leadstream"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it must be; `settings` are Kafka's topic settings, by Kafka's names.

    All topics of a deployment have the same number of partitions: our producers choose the partition themselves.
    """

    name: str
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one deployment.

    Attributes:
        prefix: goes before every name; two deployments on one broker differ in it, and in nothing else but their groups.
        history_ms: how long events, and the transitions that came of them, are kept; -1: for ever. `verify` and a
            replay see no further back. Rows and scores do not depend on it.
    """

    prefix: str = ""
    history_ms: int = DEFAULT_HISTORY_MS

    @property
    def worker_group(self) -> str:
        """The consumer group of the workers."""
        return f"{self.prefix}{_WORKER_GROUP}"

    def sink_group(self, name: str) -> str:
        """The consumer group of the sink `name`."""
        return f"{self.worker_group}.sink.{name}"

    @property
    def events(self) -> str:
        return f"{self.prefix}leadstream.events.v1"

    @property
    def transitions(self) -> str:
        return f"{self.prefix}leadstream.transitions.v1"

    @property
    def scores(self) -> str:
        return f"{self.prefix}leadstream.scores.v1"

    @property
    def dead_letters(self) -> str:
        return f"{self.prefix}leadstream.dead-letters.v1"

    @property
    def rows(self) -> str:
        return f"{self.prefix}leadstream.rows.v1"

    @property
    def table(self) -> tuple[Topic, ...]:
        return (
            Topic(self.events, _log(self.history_ms)),
            Topic(self.transitions, _log(self.history_ms)),
            Topic(self.scores, _compacted()),
            Topic(self.dead_letters, _log(DEAD_LETTERS_MS)),
            Topic(self.rows, _compacted() | {"min.compaction.lag.ms": str(DAY_MS)}),
        )


def _log(retention_ms: int) -> Mapping[str, str]:
    """Records are kept for a time. The broker stamps them: the stamp of an event is the time of its fold, and a
    producer with a wrong clock, or one that plays an old file, would have its records deleted on arrival.
    """
    return MappingProxyType(
        {
            "cleanup.policy": "delete",
            "retention.ms": str(retention_ms),
            "message.timestamp.type": "LogAppendTime",
            **_every_topic(),
        }
    )


def _compacted() -> dict[str, str]:
    """The last record of a key is kept for ever, a deletion long enough for every reader to see it."""
    return {
        "cleanup.policy": "compact",
        "delete.retention.ms": str(DAY_MS),
        **_every_topic(),
    }


def _every_topic() -> dict[str, str]:
    return {
        # A replica that missed acknowledged records must not become the leader: offsets would be used twice.
        "unclean.leader.election.enable": "false",
        # Where the brokers allow less, an event that the collector takes would be refused, and its dead letter, too.
        "max.message.bytes": str(MESSAGE_BYTES),
    }
