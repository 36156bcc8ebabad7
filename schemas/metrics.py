"""Every metric that leaves a process: its name, kind, labels, help text. Base units; bounded labels.

`streams/metrics.py` turns the table into Prometheus metrics, `docs/metrics.md` is generated from it, and a name that is
not in `MetricName` does not type-check.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["counter", "gauge", "histogram"]

MetricName = Literal[
    "leadstream_collector_events_total",
    "leadstream_collector_requests_total",
    "leadstream_collector_ack_seconds",
    "leadstream_collector_values_cut_total",
    "leadstream_collector_rate_limited_total",
    "leadstream_collector_connections_refused_total",
    "leadstream_collector_spool_records",
    "leadstream_collector_spool_bytes",
    "leadstream_collector_spool_oldest_age_seconds",
    "leadstream_collector_spool_drained_total",
    "leadstream_worker_leads",
    "leadstream_worker_records_total",
    "leadstream_sink_records_total",
    "leadstream_sink_dead_letters_total",
    "leadstream_sink_retries_total",
    "leadstream_sink_restarts_from_beginning_total",
    "leadstream_sink_circuit_open",
    "leadstream_sink_lag_records",
    "leadstream_sink_last_success_timestamp_seconds",
    "leadstream_sink_attempt_seconds",
    "leadstream_sink_delay_seconds",
    "leadstream_alerts_decided_total",
    "leadstream_alerts_digests_total",
    "leadstream_leads_transitions_total",
    "leadstream_leads_alerts_total",
    "leadstream_leads_flaps_total",
    "leadstream_worker_batch_records",
    "leadstream_worker_changelog_records_total",
    "leadstream_worker_checkpoint_age_seconds",
    "leadstream_worker_checkpoint_seconds",
    "leadstream_worker_fold_seconds",
    "leadstream_worker_lag_records",
    "leadstream_worker_partitions",
    "leadstream_worker_recovery_seconds",
    "leadstream_worker_ticks_total",
    "leadstream_verify_equal",
    "leadstream_verify_end_timestamp_seconds",
    "leadstream_verify_duration_seconds",
    "leadstream_verify_records",
    "leadstream_verify_differences",
    "leadstream_verify_lost_events",
    "leadstream_verify_counted_twice_events",
]


@dataclass(frozen=True, slots=True)
class Metric:
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


RECORDS = (1, 10, 100, 500, 1_000, 2_000, 5_000)
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10)

METRICS: dict[MetricName, Metric] = {
    "leadstream_collector_events_total": Metric(
        "counter", "Events that reached the collector, by what became of them.", ("outcome",)
    ),
    "leadstream_collector_requests_total": Metric(
        "counter", "HTTP requests to the collector, by route and status.", ("route", "status")
    ),
    "leadstream_collector_ack_seconds": Metric(
        "histogram",
        "From the first byte of a request until brokers or spool hold its records.",
        (),
        SECONDS,
    ),
    "leadstream_collector_values_cut_total": Metric(
        "counter", "Properties and traits of accepted events that were shortened or left out as too long or too many."
    ),
    "leadstream_collector_rate_limited_total": Metric(
        "counter", "Requests answered with 429, by the limit that was reached: of a key or of a visitor.", ("limit",)
    ),
    "leadstream_collector_connections_refused_total": Metric(
        "counter", "Connections closed at once, because there were as many as there may be."
    ),
    "leadstream_collector_spool_records": Metric(
        "gauge", "Records in the collector's spool that the brokers have not acknowledged."
    ),
    "leadstream_collector_spool_bytes": Metric("gauge", "Bytes of the spool on its disk."),
    "leadstream_collector_spool_oldest_age_seconds": Metric(
        "gauge", "Since when the oldest record in the spool waits for the brokers; 0 if none does."
    ),
    "leadstream_collector_spool_drained_total": Metric(
        "counter", "Records from the spool that the brokers acknowledged; some count twice after a crash."
    ),
    "leadstream_worker_leads": Metric(
        "gauge",
        "Leads in each stage, counted in the rows that this worker owns when it is asked. "
        "`unreadable`: damaged rows, for `leadstream rows mend`.",
        ("stage",),
    ),
    "leadstream_worker_records_total": Metric(
        "counter", "Records of the events topic that were folded, by outcome.", ("outcome",)
    ),
    "leadstream_sink_records_total": Metric(
        "counter", "Records that a sink is done with, by outcome: delivered or dead_lettered.", ("sink", "outcome")
    ),
    "leadstream_sink_dead_letters_total": Metric(
        "counter", "Dead letters that a sink wrote, by reason.", ("sink", "reason")
    ),
    "leadstream_sink_retries_total": Metric(
        "counter", "Attempts after which the destination asked to come again later.", ("sink",)
    ),
    "leadstream_sink_restarts_from_beginning_total": Metric(
        "counter",
        "Times the destination had lost what it was told, so that the topics were read again from the start.",
        ("sink",),
    ),
    "leadstream_sink_circuit_open": Metric(
        "gauge", "1 while nothing but a probe is sent, because attempt after attempt failed.", ("sink",)
    ),
    "leadstream_sink_lag_records": Metric(
        "gauge", "Records of the topics that have not yet taken effect at the destination.", ("sink",)
    ),
    "leadstream_sink_last_success_timestamp_seconds": Metric(
        "gauge", "When the destination last confirmed a delivery, as Unix time.", ("sink",)
    ),
    "leadstream_sink_attempt_seconds": Metric(
        "histogram", "Time of one attempt to deliver a batch, whatever came of it.", ("sink",), SECONDS
    ),
    "leadstream_sink_delay_seconds": Metric(
        "histogram",
        "From the time of a record on its topic to its confirmed effect.",
        ("sink",),
        (*SECONDS, 60, 600, 3600),
    ),
    "leadstream_alerts_decided_total": Metric(
        "counter", "Alerts per channel, by what was decided: sent, quiet or digest.", ("channel", "decision")
    ),
    "leadstream_alerts_digests_total": Metric("counter", "Digests of alerts over budget that were sent.", ("channel",)),
    "leadstream_leads_transitions_total": Metric(
        "counter", "Stage transitions; may repeat after a crash.", ("from_stage", "to_stage", "direction", "cause")
    ),
    "leadstream_leads_alerts_total": Metric(
        "counter", "Transitions for which the model names somebody to tell, by the stage moved to.", ("to_stage",)
    ),
    "leadstream_leads_flaps_total": Metric(
        "counter", "Leads that fell, within a day, out of a stage they had just risen to.", ("from_stage", "to_stage")
    ),
    "leadstream_worker_batch_records": Metric("histogram", "Records folded in one go.", (), RECORDS),
    "leadstream_worker_changelog_records_total": Metric("counter", "Rows written to the changelog."),
    "leadstream_worker_checkpoint_age_seconds": Metric(
        "gauge", "Since when folded records wait for a completed checkpoint; 0 if none waits."
    ),
    "leadstream_worker_checkpoint_seconds": Metric(
        "histogram", "From the cut of a checkpoint to its committed offset.", (), SECONDS
    ),
    "leadstream_worker_fold_seconds": Metric("histogram", "Fold of one batch.", (), SECONDS),
    "leadstream_worker_lag_records": Metric("gauge", "Records in the log that are not folded yet.", ("partition",)),
    "leadstream_worker_partitions": Metric("gauge", "Partitions owned by this worker."),
    "leadstream_worker_recovery_seconds": Metric(
        "histogram", "Rebuild of the memory of newly assigned partitions.", (), SECONDS
    ),
    "leadstream_worker_ticks_total": Metric("counter", "Ticks written to the events topic."),
    "leadstream_verify_equal": Metric(
        "gauge",
        "1: the last `verify` found that state, transitions and dead letters are what the log says. "
        "0: something differs, or it could not verify; then those below but the time are 0, too.",
    ),
    "leadstream_verify_end_timestamp_seconds": Metric(
        "gauge", "When the last `verify` ended, as Unix time, however it ended."
    ),
    "leadstream_verify_duration_seconds": Metric("gauge", "How long it took."),
    "leadstream_verify_records": Metric("gauge", "Records of the log that it folded."),
    "leadstream_verify_differences": Metric("gauge", "Differences that it found."),
    "leadstream_verify_lost_events": Metric("gauge", "Events that it found in the log and not in the state."),
    "leadstream_verify_counted_twice_events": Metric("gauge", "Events that it found counted more often than once."),
}

OF_VERIFY: frozenset[MetricName] = frozenset(name for name in METRICS if name.startswith("leadstream_verify_"))
"""They stand in the file that `leadstream verify --textfile` writes, not on the pages of the parts."""


class Metrics(Protocol):
    """What code that measures itself is handed."""

    def count(self, name: MetricName, amount: float = 1, **labels: str) -> None: ...
    def observe(self, name: MetricName, value: float, **labels: str) -> None: ...
    def set(self, name: MetricName, value: float, **labels: str) -> None: ...
