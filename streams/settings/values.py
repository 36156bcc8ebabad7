"""What is wrong with the values of settings. Never says the value itself, which may be a secret. Opens no connection."""

from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec
from redis.asyncio import ConnectionPool
from redis.exceptions import RedisError

from processors.model.zones import zone_names
from schemas.nearest import did_you_mean
from streams.kafka.brokers import MECHANISMS, WRITE_SERVERS, are_servers
from streams.settings.lines import Path


def _port(value: Any) -> str:
    return "" if 0 <= int(value) <= 65_535 else "is not a port. Write a whole number from 0 to 65535"


def _share(value: Any) -> str:
    return "" if 0 <= float(value) <= 1 else "is not a share. Write a number from 0 to 1, such as 0.5"


def _positive(value: Any) -> str:
    return "" if int(value) > 0 else "is not a number above 0"


def _not_negative(value: Any) -> str:
    return "" if 0 <= value < float("inf") else "is not 0 or a number above it"


def _zone_name(value: str) -> str:
    if value in zone_names():
        return ""
    return f"is not a time zone.{did_you_mean(value, sorted(zone_names()))} Write a name such as Europe/Berlin"


def _redis_url(value: str) -> str:
    try:
        pool: Any = ConnectionPool.from_url(value)  # redis-py does not type all of it
        pool.make_connection()  # connects only when it is used; refuses options that nobody knows
    except (ValueError, TypeError, RedisError):  # their text may quote the URL, and the URL a password
        return "is not the URL of a Redis. Write redis://HOST:PORT/0, rediss://HOST:PORT/0 or unix:///PATH"
    return ""


def _servers(value: str) -> str:
    return "" if are_servers(value) else f"is no address of brokers. {WRITE_SERVERS}"


def _one_of(*names: str) -> Callable[[str], str]:
    return lambda value: "" if value in names else f"is none of: {', '.join(filter(None, names))}"


Port = Annotated[int, _port]
Share = Annotated[float, _share]
BrokerSecurity = Annotated[str, _one_of("plaintext", "tls")]
Mechanism = Annotated[str, _one_of("", *MECHANISMS)]
Positive = Annotated[int, _positive]
NotNegative = Annotated[float, _not_negative]
ZoneName = Annotated[str, _zone_name]
RedisUrl = Annotated[str, _redis_url]
Servers = Annotated[str, _servers]

_NOT = {
    int: "is not a whole number",
    float: "is not a number",
    bool: "is not true or false",
    str: "is not a text",
    list[str]: "is not a list of texts",
}


def wrong_values(value: Any, hint: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """(path, what is wrong) of each value that its type hint does not allow; unknown keys are passed over."""
    if is_dataclass(hint):
        yield from _wrong_in_table(value, hint, path)
    elif get_origin(hint) is list and is_dataclass(get_args(hint)[0]):
        if not isinstance(value, list):
            yield path, "is not a list of tables"
            return
        for place, item in enumerate(value):
            yield from wrong_values(item, get_args(hint)[0], (*path, place))
    elif get_origin(hint) is dict:
        if not isinstance(value, dict):
            yield path, "is not a table"
            return
        for name, item in value.items():
            yield from wrong_values(item, get_args(hint)[1], (*path, name))
    elif problem := _wrong_value(value, hint):
        yield path, problem


def _wrong_in_table(value: Any, cls: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if not isinstance(value, dict):
        yield path, "is not a table"
        return
    hints = get_type_hints(cls, include_extras=True)
    for field in fields(cls):
        if field.name in value:
            yield from wrong_values(value[field.name], hints[field.name], (*path, field.name))
        elif field.default is MISSING and field.default_factory is MISSING:
            yield (*path, field.name), "is missing"


def _wrong_value(value: Any, hint: Any) -> str:
    annotated = get_origin(hint) is Annotated
    base = get_args(hint)[0] if annotated else hint
    try:
        converted = msgspec.convert(value, base, strict=False)
    except msgspec.ValidationError:
        return _NOT[base]
    problems = (check(converted) for check in (hint.__metadata__ if annotated else ()))
    return next(filter(None, problems), "")
