"""The broker, its topics, Redis."""

import asyncio

import redis.asyncio as redis
from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from streams.embedded.broker import CLUSTER_ID
from streams.finding import Finding
from streams.kafka.brokers import Brokers
from streams.kafka.provision import admin_client
from streams.kafka.trouble import BrokerRefusesError, why_away
from streams.settings.config import Redis
from streams.unreachable import why_unreachable

DEADLINE_SECONDS = 10.0


async def check_broker(brokers: Brokers) -> tuple[Finding, bool]:
    """What is to say of it, and whether it is the embedded one."""
    try:
        async with asyncio.timeout(DEADLINE_SECONDS), admin_client(brokers) as admin:
            cluster = await admin.describe_cluster()
    except BrokerRefusesError as error:
        return Finding("fail", f"broker: {error.what}", error.fix, away=True), False
    except (KafkaError, OSError) as error:
        what = f"broker: {brokers.servers} does not answer ({why_away(error)})"
        return Finding("fail", what, "start it, or set KAFKA_BOOTSTRAP_SERVERS", away=True), False
    if cluster["cluster_id"] == CLUSTER_ID:
        what = f"broker: {brokers.servers} is the embedded one; all is in memory and gone when it ends"
        return Finding("warn", what, "for development only; docker-compose.yml starts Apache Kafka"), True
    nodes = len(cluster["brokers"])
    return Finding("ok", f"broker: {brokers.servers}, {nodes} {'node' if nodes == 1 else 'nodes'}"), False


async def check_redis(settings: Redis) -> Finding:
    client = redis.from_url(
        settings.url, socket_connect_timeout=DEADLINE_SECONDS, socket_timeout=DEADLINE_SECONDS, decode_responses=True
    )
    where = f"redis: {settings.place}"
    try:
        async with client:
            server, persistence = await client.info("server"), await client.info("persistence")
    except (RedisError, OSError) as error:
        what = f"{where} does not answer ({why_unreachable(error)})"
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
