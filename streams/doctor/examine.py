"""Looks at everything that the settings name. Data only: the command line prints it. Writes nothing, sends nothing."""

import asyncio
from collections.abc import Awaitable, Callable

from aiokafka.errors import KafkaError

from schemas.rows import UnreadableRowError
from streams.doctor.channels import check_channels
from streams.doctor.clocks import check_clocks
from streams.doctor.collector import check_key_secret, check_spool
from streams.doctor.model import check_model
from streams.doctor.readers import check_readers
from streams.doctor.services import DEADLINE_SECONDS, check_broker, check_redis
from streams.doctor.status_pages import check_status_pages
from streams.doctor.webhook import check_webhook
from streams.finding import Finding
from streams.kafka.brokers import Brokers
from streams.kafka.topic_checks import check_topics
from streams.settings.config import Settings, topics_of

_ON_TOPICS = "model, consumer groups, clocks"


async def examine(settings: Settings, brokers: Brokers, now_ms: Callable[[], int]) -> list[Finding]:
    """What is well and what is not. Never raises for a service that is away.

    Looked at is what the settings name. What is on the topics is looked at where they are as they must be.
    """
    broker, embedded = await check_broker(brokers)
    findings = [broker]
    if broker.level == "fail":
        findings.append(_not_looked_at(f"topics, {_ON_TOPICS}", "the broker answers"))
    else:
        findings += await _on_the_broker(settings, brokers, now_ms, embedded=embedded)
    findings.append(await check_redis(settings.redis))
    findings += check_key_secret(settings.collector.key_secret)
    findings += await asyncio.to_thread(check_spool, settings.collector.spool_dir, settings.collector.spool_max_bytes)
    findings += await check_status_pages(settings)
    findings += await check_webhook(settings.webhook, now_ms)
    return findings + check_channels(settings.channels)


async def _on_the_broker(
    settings: Settings, brokers: Brokers, now_ms: Callable[[], int], *, embedded: bool
) -> list[Finding]:
    topics = topics_of(settings)
    findings = await _asked("topics", check_topics(brokers, topics, copies=settings.kafka.replication_factor))
    if any(finding.level == "fail" for finding in findings):
        return [*findings, _not_looked_at(_ON_TOPICS, "the topics are as they must be")]
    findings += await _asked("model", check_model(brokers, topics, settings))
    findings += await _asked("groups", check_readers(brokers, topics, settings, now_ms, embedded=embedded))
    if not embedded:  # it keeps the producer's time
        findings += await _asked("clocks", check_clocks(brokers, topics, now_ms))
    return findings


def _not_looked_at(what: str, when: str) -> Finding:
    return Finding("warn", f"{what}: not looked at", f"run it again when {when}")


async def _asked(about: str, work: Awaitable[list[Finding]]) -> list[Finding]:
    try:
        async with asyncio.timeout(3 * DEADLINE_SECONDS):
            return await work
    except (KafkaError, OSError) as error:
        what = f"{about}: the broker did not answer ({type(error).__name__}: {error})"
        return [Finding("fail", what, "run it again", away=True)]
    except UnreadableRowError as error:
        return [Finding("fail", f"{about}: {error}", "docs/runbook.md, A worker ends")]
