"""What commands need of the world: settings, the clock, the broker; and what they say when a service is away."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

import click
from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from streams.cli.exits import UNREACHABLE, WRONG_INPUT, CommandError
from streams.clock import Clock, PlayedClock, SystemClock
from streams.config import Settings, SettingsError, load_settings
from streams.provision import admin_client, partition_counts
from streams.topics import Topics

DEADLINE_SECONDS = 10.0
TOPICS = Topics()
_Result = TypeVar("_Result")


def settings_of(context: click.Context) -> Settings:
    """The settings that `leadstream --config` names.

    Raises:
        CommandError: all that is wrong with them.
    """
    try:
        return load_settings(context.find_root().obj)
    except SettingsError as error:
        raise CommandError(str(error), code=WRONG_INPUT) from error


def clock_of(settings: Settings) -> Clock:
    play = settings.play
    if play.days_per_second == 0:
        return SystemClock()
    return PlayedClock(play.start_ms, play.anchor_ms, play.days_per_second)


def run(work: Coroutine[Any, Any, _Result], settings: Settings) -> _Result:
    """Run to its end.

    Raises:
        CommandError: the broker or Redis is away; it names the setting.
    """
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it logs every refused connection
    try:
        return asyncio.run(work)
    except RedisError as error:
        # The text of the error may quote the address, and the address a password.
        raise CommandError(
            f"Redis does not answer ({type(error).__name__})",
            "start it, or set REDIS_URL (redis.url in leadstream.toml)",
            code=UNREACHABLE,
        ) from error
    except BrokenPipeError:
        raise
    except (KafkaError, OSError) as error:  # OSError: also timeouts, and LogStalledError
        raise CommandError(
            f"the broker at {settings.kafka.bootstrap_servers} does not answer ({type(error).__name__})",
            "start it, or set KAFKA_BOOTSTRAP_SERVERS (kafka.bootstrap_servers in leadstream.toml)",
            code=UNREACHABLE,
        ) from error


async def partition_count(bootstrap_servers: str, topics: Topics = TOPICS) -> int:
    """How many partitions the topics have.

    Raises:
        CommandError: a topic is missing.
        KafkaError, TimeoutError: the broker is away.
    """
    async with asyncio.timeout(DEADLINE_SECONDS), admin_client(bootstrap_servers) as admin:
        counts = await partition_counts(admin)
    missing = [topic.name for topic in topics.table if topic.name not in counts]
    if missing:
        raise CommandError(
            f"the broker at {bootstrap_servers} has no topic {missing[0]}",
            "run: leadstream topics ensure",
            code=UNREACHABLE,
        )
    return counts[topics.events]
