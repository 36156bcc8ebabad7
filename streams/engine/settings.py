"""What a worker is told: brokers, topics, sizes and time limits."""

from dataclasses import dataclass

from streams.kafka.brokers import PLAINTEXT, Security


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Settings of one worker.

    Attributes:
        bootstrap_servers: `host:port`, several with commas.
        output_topics: topics the fold writes to; each must exist at the start.
        instance_id: static group membership; a restart within the session timeout keeps its partitions.
        idempotence: off only for the embedded broker, which has no idempotent producer.
        batch_records: most records folded in one go; the event loop runs in between.
        buffered_batches: most batches in memory beside the one being folded; more stay at the broker.
        fetch_wait_ms: how long the broker may hold a fetch that finds nothing. Apache Kafka answers as soon as there is
            a record; the embedded broker only at the end of the wait, so give it 25.
        fetch_pause_ms: least time between two small deliveries. CPU goes per delivery, not per record: lower means less
            latency and more CPU between some hundred and some thousand events/s.
        session_timeout_seconds: after this silence the group gives the partitions to another worker.
        send_deadline_seconds: a send or commit without an answer for so long ends the worker.
        stall_seconds: work that does not move for so long ends the worker.
        drain_seconds: time for the last checkpoint after SIGTERM.
    """

    bootstrap_servers: str
    events_topic: str
    changelog_topic: str
    output_topics: tuple[str, ...]
    group: str = "leadstream"
    instance_id: str | None = None
    security: Security = PLAINTEXT
    idempotence: bool = True
    batch_records: int = 2_000
    buffered_batches: int = 8
    fetch_wait_ms: int = 100
    fetch_pause_ms: int = 10
    fetch_max_bytes: int = 1_048_576
    checkpoint_interval_seconds: float = 1.0
    session_timeout_seconds: float = 30.0
    heartbeat_interval_seconds: float = 3.0
    rebalance_timeout_seconds: float = 60.0
    send_deadline_seconds: float = 30.0
    stall_seconds: float = 60.0
    drain_seconds: float = 20.0
