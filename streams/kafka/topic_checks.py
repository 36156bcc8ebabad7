"""Checks that the topics are as the table says. Every part does so at its start and refuses to run otherwise."""

from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streams.finding import Finding, Level
from streams.kafka.brokers import Brokers
from streams.kafka.log_epochs import epoch_of, first_records
from streams.kafka.log_reader import log_end, log_start
from streams.kafka.provision import BROKER_DEFAULT, SAFE_COPIES, SAFE_IN_SYNC, admin_client
from streams.kafka.topics import Topic, Topics

ENSURE = "leadstream topics ensure"
_LOG_APPEND_TIME = 1


class TopicsNotReadyError(RuntimeError):
    """The topics are not as they must be. The message lists every failure with its fix."""


async def require_topics(brokers: Brokers, topics: Topics, *, copies: int = BROKER_DEFAULT) -> int:
    """Refuse to start on topics that are not as they must be; returns the number of partitions. `copies`: see `check_topics`.

    Raises:
        TopicsNotReadyError: at least one finding is a failure.
    """
    findings, count = await _check(brokers, topics, None, copies)
    failures = [f"{finding.what}; fix: {finding.fix}" for finding in findings if finding.level == "fail"]
    if failures:
        raise TopicsNotReadyError("\n".join(failures))
    return count


async def check_topics(
    brokers: Brokers, topics: Topics, *, partitions: int | None = None, copies: int = BROKER_DEFAULT
) -> list[Finding]:
    """Existence, partition counts, copies, settings, and the epoch record of every events partition.

    Without `partitions` all topics must have as many as the events topic. `copies`: fewer are a failure, and with 3 of them a
    `min.insync.replicas` below 2, too; by default both are warnings.
    """
    findings, _ = await _check(brokers, topics, partitions, copies)
    return findings


async def _check(brokers: Brokers, topics: Topics, partitions: int | None, copies: int) -> tuple[list[Finding], int]:
    """What was found, and how many partitions the events topic has: 0 if there is none."""
    async with admin_client(brokers) as admin:
        described = {topic["topic"]: topic["partitions"] for topic in await admin.describe_topics()}
        counts = {name: len(each) for name, each in described.items()}
        findings = _check_counts(counts, topics, partitions)
        present = [topic for topic in topics.table if topic.name in counts]
        settings = {topic.name: await _settings(admin, topic.name) for topic in present}
    for topic in present:
        findings += _check_settings(brokers.servers, topic, settings[topic.name])
    findings += _check_copies({topic.name: described[topic.name] for topic in present}, settings, copies)
    if topics.events in counts:
        findings += await _check_epochs(brokers, topics.events, counts[topics.events])
    count = counts.get(topics.events, 0)
    if not any(finding.level == "fail" for finding in findings):
        findings.insert(0, Finding("ok", f"topics: {len(topics.table)} of {len(topics.table)}, {count} partitions"))
    return findings, count


def _check_counts(counts: Mapping[str, int], topics: Topics, partitions: int | None) -> list[Finding]:
    wanted = partitions or counts.get(topics.events)
    findings = []
    for topic in topics.table:
        count = counts.get(topic.name)
        if count is None:
            findings.append(Finding("fail", f"topic {topic.name} does not exist", ENSURE))
        elif count != wanted:
            findings.append(
                Finding(
                    "fail",
                    f"topic {topic.name} has {count} partitions where {wanted} are wanted",
                    "the count of a live topic never changes: set the number it has; a topic that holds nothing yet "
                    f"may be deleted, then {ENSURE}",
                )
            )
    return findings


def _check_settings(servers: str, topic: Topic, actual: Mapping[str, str]) -> list[Finding]:
    tool = f"kafka-configs.sh --bootstrap-server {servers} --entity-type topics --entity-name {topic.name}"
    findings = []
    for name, wanted in topic.settings.items():
        value = actual.get(name)
        if value is None:
            what = f"topic {topic.name}: the broker does not say its {name}"
            findings.append(Finding("warn", what, f"{tool} --describe --all"))
        elif not _fits(name, value, wanted):
            # Less history than wished for is the operator's choice; all else would lose or misjudge records.
            level: Level = "warn" if name == "retention.ms" else "fail"
            what = f"topic {topic.name}: {name} is {value}, wanted {wanted}"
            findings.append(Finding(level, what, f"{tool} --alter --add-config {name}={wanted}"))
    return findings


def _check_copies(
    described: Mapping[str, Sequence[Mapping[str, Any]]], settings: Mapping[str, Mapping[str, str]], wanted: int
) -> list[Finding]:
    copies = {name: min((len(one["replicas"]) for one in each), default=0) for name, each in described.items()}
    if few := [name for name, number in copies.items() if number < wanted]:
        what = f"fewer than {wanted} copies of {', '.join(few)}, as kafka.replication_factor wants them"
        fix = f"add copies with kafka-reassign-partitions.sh; a topic that holds nothing yet may be deleted, then {ENSURE}"
        return [Finding("fail", what, fix)]
    if few := [name for name, number in copies.items() if number < SAFE_COPIES]:
        what = f"fewer than {SAFE_COPIES} copies of {', '.join(few)}: who loses a disk loses records"
        fix = f"for production three brokers and `{ENSURE} --replication {SAFE_COPIES}` before the first record"
        return [Finding("warn", what, fix)]
    unsafe = [name for name in described if int(settings[name].get("min.insync.replicas", 1)) < SAFE_IN_SYNC]
    if unsafe:
        level: Level = "fail" if wanted >= SAFE_COPIES else "warn"
        what = f"{', '.join(unsafe)}: a record counts as written when only one broker has it"
        return [Finding(level, what, f"set min.insync.replicas={SAFE_IN_SYNC} with kafka-configs.sh")]
    return []


def _fits(name: str, value: str, wanted: str) -> bool:
    if name == "max.message.bytes":
        return int(value) >= int(wanted)
    return _milliseconds(value) >= _milliseconds(wanted) if name.endswith(".ms") else value == wanted


def _milliseconds(value: str) -> float:
    return float("inf") if value == "-1" else int(value)


async def _settings(admin: AIOKafkaAdminClient, topic: str) -> dict[str, str]:
    responses = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    return {entry[0]: entry[1] for response in responses for resource in response.resources for entry in resource[4]}


async def _check_epochs(brokers: Brokers, events: str, partitions: int) -> list[Finding]:
    tps = [TopicPartition(events, number) for number in range(partitions)]
    ends = await log_end(brokers, tps)  # parts check at each start: no more round trips than it takes
    never_written = [tp for tp in tps if ends[tp] == 0]
    findings = [Finding("fail", f"{_name(tp)} has no epoch record", ENSURE) for tp in never_written]
    written = [tp for tp in tps if ends[tp] > 0]
    found = await first_records(brokers, ends)
    # Where nothing was found, retention has taken the epoch record, or compaction on a wrong topic.
    starts = await log_start(brokers, [tp for tp in written if tp not in found])
    findings += [_not_epoch(tp) for tp in written if starts.get(tp) == 0 or (tp in found and not epoch_of(found[tp]))]
    if any(record.timestamp_type != _LOG_APPEND_TIME for record in found.values()):
        findings.append(
            Finding(
                "warn",
                f"topic {events}: the broker keeps the producer's timestamps, so the time of a fold is not the broker's",
                "for development only; use Apache Kafka with message.timestamp.type=LogAppendTime",
            )
        )
    return findings


def _not_epoch(tp: TopicPartition) -> Finding:
    return Finding(
        "fail",
        f"{_name(tp)}: offset 0 is no epoch record; something wrote before the topic was ready",
        f"stop all producers, delete the topic {tp.topic}, then {ENSURE}",
    )


def _name(tp: TopicPartition) -> str:
    return f"{tp.topic} partition {tp.partition}"
