"""Which model is in force, and whether its alerts have somewhere to go."""

from processors.model.model import channels_of
from processors.model_log import ModelRecordError, read_model_record
from streams.finding import Finding
from streams.kafka.brokers import Brokers
from streams.kafka.provision import admin_client, partition_counts
from streams.kafka.topics import Topics
from streams.model_records import models_in_force
from streams.settings.config import Settings

_ACTIVATE = "leadstream model activate model.yaml"


async def check_model(brokers: Brokers, topics: Topics, settings: Settings) -> list[Finding]:
    """Of topics that are as they must be.

    Raises:
        KafkaError, OSError: the broker is away.
        UnreadableRowError: a partition's own row cannot be read.
    """
    async with admin_client(brokers) as admin:
        partitions = (await partition_counts(admin))[topics.events]
    in_force = await models_in_force(brokers, topics, partitions)
    newest = in_force.newest
    if newest is None:
        return [Finding("warn", "model: none is active, so workers wait and nothing is scored", _ACTIVATE)]
    name = f"{newest['name']}@{newest['version']}"
    try:
        model = read_model_record(newest["body"])
    except ModelRecordError as error:
        return [Finding("fail", f"model: {name} is in force and cannot be read here: {error}", _ACTIVATE)]
    rank = (newest["n"], newest["version"])
    has_it = sum(in_force.ranks.get(number) == rank for number in range(partitions))
    if has_it < partitions:
        what = f"model: {name} is in force in {has_it} of {partitions} partitions: its activation was interrupted"
        return [Finding("warn", what, f"{_ACTIVATE}, once more with the same file")]
    findings = [Finding("ok", f"model: {name} is in force")]
    missing = sorted(channels_of(model.alerts) - settings.channels.keys())
    if missing and not settings.alerts.terminal:
        what = f"alerts: the model sends to {', '.join(missing)}, not in these settings; `leadstream sink alerts` would not start"
        findings.append(
            Finding("warn", what, f'[channels.{missing[0]}] with url = "..." (an apprise URL, or "terminal:")')
        )
    return findings
