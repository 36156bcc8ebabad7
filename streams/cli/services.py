"""What every command that talks to Kafka or Redis does alike: settings, errors, logs."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from streams.cli.exits import REFUSED, UNREACHABLE, WRONG_INPUT, CommandError
from streams.config import Settings, SettingsError, load_settings
from streams.log_reader import LogStalledError
from streams.topic_checks import TopicsNotReadyError


def settings_of(config: str | None) -> Settings:
    """The settings of the command line's `--config`.

    Raises:
        CommandError: everything that is wrong with them.
    """
    try:
        return load_settings(config)
    except SettingsError as error:
        raise CommandError("\n".join(error.problems), code=WRONG_INPUT) from error


@contextmanager
def reaching(settings: Settings) -> Iterator[None]:
    """Turns a service that does not answer, or topics that are not ready, into one line with what to do.

    Raises:
        CommandError: with exit code 3, or 4 for topics.
    """
    try:
        yield
    except TopicsNotReadyError as error:
        raise CommandError(str(error), "Then start again.", code=REFUSED) from error
    except (KafkaError, LogStalledError) as error:
        raise CommandError(
            f"cannot reach Kafka at {settings.kafka.bootstrap_servers}: {error}",
            "Start it, or set KAFKA_BOOTSTRAP_SERVERS; without a broker: leadstream up",
            code=UNREACHABLE,
        ) from error
    except RedisError as error:
        raise CommandError(
            f"cannot reach Redis: {type(error).__name__}", "Start it, or set REDIS_URL", code=UNREACHABLE
        ) from error
    except OSError as error:
        raise CommandError(str(error), code=UNREACHABLE) from error


def log_to_stderr() -> None:
    """Logs of a long-running part: one line each, on stderr."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for noisy in ("aiokafka", "faust", "mode", "apprise", "httpx"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
