"""All settings: `leadstream.toml`, overridden by the environment. The only reader of both.

`LEADSTREAM_<SECTION>_<KEY>` overrides a key, as do `KAFKA_BOOTSTRAP_SERVERS` and `REDIS_URL`; `<KEY>_FILE` (in both) names a
file that holds the value, for secrets. `LEADSTREAM_WRITE_KEYS` and `LEADSTREAM_CHANNELS` are JSON. All that is wrong is told.
"""

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import msgspec

from schemas.nearest import did_you_mean
from streams.clock import Clock, PlayedClock, SystemClock
from streams.delivery.dead_share import DEFAULT_LIMIT
from streams.kafka.topics import Topics
from streams.settings.lines import Path as KeyPath
from streams.settings.lines import line_of
from streams.settings.values import (
    BrokerSecurity,
    Mechanism,
    NotNegative,
    Port,
    Positive,
    RedisUrl,
    Servers,
    Share,
    ZoneName,
    wrong_values,
)
from streams.settings.variables import ALIASES, OF_A_FILE, hint_at, section_of, unknown_variables, variables

DEFAULT_FILE = "leadstream.toml"


@dataclass(frozen=True)
class Kafka:
    bootstrap_servers: Servers = "localhost:9092"
    partitions: int = 12  # of the events topic when `topics ensure` creates it; never changes after that
    replication_factor: int = -1  # of the topics that `topics ensure` creates; -1: the broker's default. Production: 3
    embedded: bool = False  # the broker of `up` and `demo`: in memory, its timestamps are the producer's
    topic_prefix: str = ""  # two deployments on one broker differ in it
    security: BrokerSecurity = "plaintext"
    ca_file: str = ""  # PEM; whom to trust for the brokers' certificates; empty: the system's
    certificate_file: str = ""  # PEM; a client certificate, where the brokers want one
    key_file: str = ""  # PEM; its key; empty: stands in the same file
    sasl_mechanism: Mechanism = ""  # empty: no user and password
    username: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True)
class Redis:
    url: RedisUrl = field(default="redis://localhost:6379/0", repr=False)  # may hold a password

    @property
    def place(self) -> str:
        """Host and port, or the socket: the address without the password."""
        parts = urlsplit(self.url)
        host = parts.hostname or "localhost"
        host = f"[{host}]" if ":" in host else host
        return parts.path if parts.scheme == "unix" else f"{host}:{parts.port or 6379}"


@dataclass(frozen=True)
class Collector:
    host: str = "127.0.0.1"
    port: Port = 8080
    public_url: str = ""
    origins: list[str] = field(default_factory=list)
    allow_loopback_origins: bool = False  # for `up` and `demo`
    dev_page: bool = False  # a page at / with the snippet to paste and the last requests; for `up` and `demo`
    trusted_proxies: list[str] = field(default_factory=list)
    spool_dir: str = ""  # where records go while the brokers do not take them; empty: nowhere, clients get 503
    spool_max_bytes: Positive = 1_073_741_824
    requests_per_second_per_key: NotNegative = 1_000.0  # 0: no limit, here and below
    events_per_second_per_visitor: NotNegative = 20.0
    # Turns an e-mail address into a key. Whoever changes it starts new rows for leads known by e-mail alone.
    key_secret: str = field(default="", repr=False)


@dataclass(frozen=True)
class WriteKey:
    name: str
    key: str = field(default="", repr=False)


@dataclass(frozen=True)
class Worker:
    instance_id: str = ""  # static group membership: unique per worker, the same after a restart
    status_host: str = "127.0.0.1"
    status_port: Port = 0  # /livez /readyz /metrics; 0: none
    dead_letter_share: Share = DEFAULT_LIMIT  # above it the worker stops; 1.0: never


@dataclass(frozen=True)
class Sinks:
    status_host: str = "127.0.0.1"
    status_port: Port = 0
    dead_letter_share: Share = DEFAULT_LIMIT


@dataclass(frozen=True)
class Webhook:
    url: str = field(default="", repr=False)  # may hold a token
    secret: str = field(default="", repr=False)
    allow_private: bool = False


@dataclass(frozen=True)
class Alerts:
    show: list[str] = field(default_factory=list)  # personal fields that an alert may show; empty: the default list
    terminal: bool = False  # a channel without settings is the terminal
    timezone: ZoneName = "UTC"  # of the times in alerts


@dataclass(frozen=True)
class Channel:
    url: str = field(default="", repr=False)  # an apprise URL


@dataclass(frozen=True)
class Play:
    """The demo's clock; see `streams.clock.PlayedClock`."""

    start_ms: int = 0
    anchor_ms: int = 0
    days_per_second: float = 0.0  # 0: the real clock


@dataclass(frozen=True)
class Settings:
    model: str = "model.yaml"
    kafka: Kafka = Kafka()
    redis: Redis = Redis()
    collector: Collector = Collector()
    write_keys: list[WriteKey] = field(default_factory=list)
    worker: Worker = Worker()
    sinks: Sinks = Sinks()
    webhook: Webhook = Webhook()
    alerts: Alerts = Alerts()
    channels: dict[str, Channel] = field(default_factory=dict)
    play: Play = Play()


def clock_of(settings: Settings) -> Clock:
    """The real clock, or the one that the demo plays."""
    play = settings.play
    if play.days_per_second == 0:
        return SystemClock()
    return PlayedClock(play.start_ms, play.anchor_ms, play.days_per_second)


def topics_of(settings: Settings) -> Topics:
    return Topics(prefix=settings.kafka.topic_prefix)


class SettingsError(ValueError):
    """Everything that is wrong, a line each: `leadstream.toml:3: kafka.prt: unknown key. Did you mean "port"? ...`."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load_settings(file: str | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Settings of a file (default: `leadstream.toml` where it is there) and the environment.

    Raises:
        SettingsError: all that is wrong.
    """
    return _reader(file, environment).read()


def broker_is_named(file: str | None = None, environment: Mapping[str, str] | None = None) -> bool:
    """Does the file or the environment say where the broker is? Otherwise its address is a guess.

    Raises:
        SettingsError: as `load_settings`.
    """
    return "bootstrap_servers" in _reader(file, environment).values().get("kafka", {})


def _reader(file: str | None, environment: Mapping[str, str] | None) -> "_Reader":
    path = Path(file or DEFAULT_FILE)
    text = ""
    if file is not None or path.is_file():
        try:
            text = path.read_text("utf-8")
        except OSError as error:
            raise SettingsError([f"{path}: cannot be read: {error.strerror}"]) from error
    return _Reader(path.name, text, os.environ if environment is None else environment)


def environment_of(settings: Settings) -> dict[str, str]:
    """The variables that give a child process the same settings. They hold its secrets."""
    values = msgspec.to_builtins(settings)
    return {name: _as_text(path, _value_at(values, path)) for name, path in variables(Settings) if name not in ALIASES}


class _Reader:
    def __init__(self, name: str, text: str, environment: Mapping[str, str]) -> None:
        self._name = name
        self._text = text
        self._environment = environment
        self._problems: list[str] = []
        self._variables: dict[KeyPath, str] = {}  # by the path of the value that each one gave

    def values(self) -> dict[str, Any]:
        """What file and environment say, by section and key; without defaults."""
        try:
            values: dict[str, Any] = tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as error:
            raise SettingsError([f"{self._name}: {error}"]) from error
        self._check(values, Settings, ())
        self._override(values)
        for path, problem in wrong_values(values, Settings):
            self._problems.append(f"{self._at(path)}{_dotted(path)} {problem}")
        if self._problems:
            raise SettingsError(self._problems)
        return values

    def read(self) -> Settings:
        return msgspec.convert(self.values(), Settings, strict=False)

    def _check(self, values: dict[str, Any], cls: type, path: KeyPath) -> None:
        """Refuse unknown keys and put the contents of files in place of `<key>_file`."""
        hints = get_type_hints(cls)
        for key in list(values):
            base = key.removesuffix("_file")
            if key not in hints and base in hints and hints[base] is str:
                full = (*path, key)
                text = self._read_file(str(values.pop(key)), f"{self._at(full)}{_dotted(full)}")
                if text is not None:
                    values[base] = text
            elif key not in hints:
                full, home = (*path, key), section_of(Settings, key) if not path else None
                meant = f" It belongs into [{home}]." if home else did_you_mean(key, hints)
                self._problems.append(
                    f"{self._at(full)}{_dotted(full)}: unknown key.{meant} Known here: {', '.join(hints)}"
                )
            else:
                for name, value, inner in _sections(values[key], hints[key]):
                    self._check(value, inner, (*path, key, *name))

    def _override(self, values: dict[str, Any]) -> None:
        self._problems += unknown_variables(Settings, self._environment)
        for name, path in variables(Settings):
            for variable, from_file in ((name, False), (name + OF_A_FILE, True)):
                given = self._environment.get(variable)
                if not given:  # an empty variable, as compose files make them, says nothing
                    continue
                text = self._read_file(given, variable) if from_file else given
                if text is not None:
                    self._variables[path] = variable
                    _put(values, path, self._value_of(variable, path, text))

    def _value_of(self, variable: str, path: tuple[str, ...], text: str) -> Any:
        """A list of names is written with commas, tables as JSON, anything else as it is."""
        hint = hint_at(Settings, path)
        if hint == list[str]:
            return [item.strip() for item in text.split(",") if item.strip()]
        if get_origin(hint) is None:
            return text
        try:
            value = json.loads(text)
        except ValueError as error:
            self._problems.append(f"{variable}: not JSON: {error}")
            return hint()
        self._check({path[0]: value}, Settings, ())
        return value

    def _read_file(self, file: str, named_by: str) -> str | None:
        try:
            return Path(file).read_text("utf-8").strip()
        except OSError as error:
            self._problems.append(f"{named_by}: cannot read {file}: {error.strerror}")
        except UnicodeDecodeError:
            self._problems.append(f"{named_by}: {file} is not text in UTF-8")
        return None

    def _at(self, path: KeyPath) -> str:
        """`variable: ` or `file:line: ` of a value, as far as it can be found."""
        for length in range(len(path), 0, -1):
            if path[:length] in self._variables:
                return f"{self._variables[path[:length]]}: "
        line = line_of(self._text, path)
        return f"{self._name}: " if line is None else f"{self._name}:{line}: "


def _dotted(path: KeyPath) -> str:
    return ".".join(key for key in path if isinstance(key, str))


def _sections(value: Any, hint: Any) -> Iterator[tuple[KeyPath, dict[str, Any], type]]:
    """The tables below a key, each with the class it must fit."""
    if is_dataclass(hint) and isinstance(value, dict):
        yield (), value, hint  # type: ignore[misc]  # a class, not an instance: it comes from a type hint
    elif get_origin(hint) is list and is_dataclass(get_args(hint)[0]) and isinstance(value, list):
        yield from (((place,), item, get_args(hint)[0]) for place, item in enumerate(value) if isinstance(item, dict))
    elif get_origin(hint) is dict and isinstance(value, dict):
        yield from (((name,), item, get_args(hint)[1]) for name, item in value.items() if isinstance(item, dict))


def _put(values: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for key in path[:-1]:
        values = values.setdefault(key, {})
        if not isinstance(values, dict):  # the file is wrong, which is told
            return
    values[path[-1]] = value


def _value_at(values: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        values = values[key]
    return values


def _as_text(path: tuple[str, ...], value: Any) -> str:
    """What `_Reader` reads back as this value."""
    if isinstance(value, str):
        return value
    return ",".join(value) if hint_at(Settings, path) == list[str] else json.dumps(value)
