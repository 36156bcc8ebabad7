"""What commands need of the world: settings, the clock, the broker; and what they say when a service is away."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click
from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from streams.cli.exits import REFUSED, UNREACHABLE, WRONG_INPUT, CommandError
from streams.kafka.brokers import Brokers, UnsafeSettingsError
from streams.kafka.provision import admin_client, partition_counts
from streams.kafka.topic_checks import TopicsNotReadyError
from streams.kafka.trouble import BrokerRefusesError, why_away
from streams.settings.brokers import read_brokers
from streams.settings.config import Settings, SettingsError, load_settings, topics_of
from streams.unreachable import why_unreachable

DEADLINE_SECONDS = 10.0
MEND = "start it, or set KAFKA_BOOTSTRAP_SERVERS (kafka.bootstrap_servers in leadstream.toml)"
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


def brokers_of(settings: Settings) -> Brokers:
    """The brokers that the settings name, and how to talk to them.

    Raises:
        CommandError: settings of TLS or SASL that cannot be used; 4 where a password would go out in clear.
    """
    try:
        return read_brokers(settings.kafka)
    except UnsafeSettingsError as error:
        raise CommandError(str(error), code=REFUSED) from error
    except SettingsError as error:
        raise CommandError(str(error), code=WRONG_INPUT) from error


@contextmanager
def reaching(settings: Settings, mend: str = MEND) -> Iterator[None]:
    """Turns a service that does not answer, or topics that are not ready, into one line with what to do.

    `mend`: what to do where no broker answers.

    Raises:
        CommandError: with exit code 3; 4 for topics.
    """
    try:
        yield
    except TopicsNotReadyError as error:
        raise CommandError(str(error), "see them all: leadstream topics check", code=REFUSED) from error
    except RedisError as error:
        raise CommandError(
            f"Redis at {settings.redis.place} does not answer ({why_unreachable(error)})",
            "start it, or set REDIS_URL (redis.url in leadstream.toml)",
            code=UNREACHABLE,
        ) from error
    except BrokenPipeError:
        raise
    except BrokerRefusesError as error:
        raise CommandError(error.what, error.fix, code=UNREACHABLE) from error
    except (KafkaError, OSError) as error:  # OSError: also timeouts, and LogStalledError
        raise CommandError(
            f"the broker at {settings.kafka.bootstrap_servers} does not answer ({why_away(error)})",
            mend,
            code=UNREACHABLE,
        ) from error


def run(work: Coroutine[Any, Any, _Result], settings: Settings) -> _Result:
    """Run to its end.

    Raises:
        CommandError: as `reaching`.
    """
    with reaching(settings):
        return asyncio.run(work)


async def partition_count(settings: Settings) -> int:
    """How many partitions the topics have.

    Raises:
        CommandError: a topic is missing.
        KafkaError, TimeoutError: the broker is away.
    """
    brokers, topics = brokers_of(settings), topics_of(settings)
    async with asyncio.timeout(DEADLINE_SECONDS), admin_client(brokers) as admin:
        counts = await partition_counts(admin)
    missing = [topic.name for topic in topics.table if topic.name not in counts]
    if missing:
        raise CommandError(
            f"the broker at {brokers.servers} has no topic {missing[0]}",
            "run: leadstream topics ensure",
            code=UNREACHABLE,
        )
    return counts[topics.events]
