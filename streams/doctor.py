"""Looks at the services that leadstream needs. Data only: the command line prints it."""

import asyncio
from collections.abc import Mapping
from typing import Any

import redis.asyncio as redis
from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from streams.broker_trouble import BrokerRefusesError
from streams.brokers import Brokers
from streams.embedded.broker import CLUSTER_ID
from streams.finding import Finding
from streams.provision import admin_client
from streams.topic_checks import check_topics
from streams.topics import Topics

_DEADLINE_SECONDS = 10.0


async def examine(brokers: Brokers, redis_url: str, topics: Topics) -> list[Finding]:
    """What is well and what is not: the broker, its topics, Redis. Never raises for a service that is away."""
    broker = await _broker(brokers)
    findings = [broker]
    if broker.level != "fail":
        findings += await _topics(brokers, topics)
    findings.append(await _redis(redis_url))
    return findings


async def _broker(brokers: Brokers) -> Finding:
    try:
        async with asyncio.timeout(_DEADLINE_SECONDS), admin_client(brokers) as admin:
            cluster = await admin.describe_cluster()
    except BrokerRefusesError as error:
        return Finding("fail", f"broker: {error.what}", error.fix, away=True)
    except (KafkaError, OSError) as error:
        return Finding(
            "fail",
            f"broker: {brokers.servers} does not answer ({type(error).__name__})",
            "start it, or set KAFKA_BOOTSTRAP_SERVERS",
            away=True,
        )
    if cluster["cluster_id"] == CLUSTER_ID:
        return Finding(
            "warn",
            f"broker: {brokers.servers} is the embedded one; all is in memory and gone when it ends",
            "for development only; docker-compose.yml starts Apache Kafka",
        )
    nodes = len(cluster["brokers"])
    return Finding("ok", f"broker: {brokers.servers}, {nodes} {'node' if nodes == 1 else 'nodes'}")


async def _topics(brokers: Brokers, topics: Topics) -> list[Finding]:
    try:
        return await check_topics(brokers, topics)
    except (KafkaError, OSError) as error:
        what = f"topics: the broker did not answer ({type(error).__name__}: {error})"
        return [Finding("fail", what, "run it again", away=True)]


async def _redis(url: str) -> Finding:
    client = redis.from_url(
        url, socket_connect_timeout=_DEADLINE_SECONDS, socket_timeout=_DEADLINE_SECONDS, decode_responses=True
    )
    # Never the URL itself: it may hold a password.
    address = client.connection_pool.connection_kwargs
    where = f"redis: {address.get('path') or _host_and_port(address)}"
    try:
        async with client:
            server, persistence = await client.info("server"), await client.info("persistence")
    except (RedisError, OSError) as error:
        what = f"{where} does not answer ({type(error).__name__})"
        return Finding("fail", what, "start it, or set REDIS_URL", away=True)
    kind = "Valkey" if "valkey_version" in server else "Redis"
    version = f"{kind} {server[f'{kind.lower()}_version']}"
    if not persistence.get("aof_enabled"):
        return Finding(
            "warn",
            f"{where}, {version}, the append-only file is off: what it holds is rebuilt from the topics after a restart",
            "appendonly yes",
        )
    return Finding("ok", f"{where}, {version}, append-only file on")


def _host_and_port(address: Mapping[str, Any]) -> str:
    return f"{address.get('host', 'localhost')}:{address.get('port', 6379)}"
