"""Settings: a file, then the environment; a wrong key is told with its line and the nearest valid one."""

import re
from pathlib import Path

import pytest

from streams.settings.config import (
    Alerts,
    Channel,
    Collector,
    Play,
    Redis,
    Settings,
    SettingsError,
    WriteKey,
    broker_is_named,
    environment_of,
    load_settings,
)

FILE = """
model = "ours.yaml"
[kafka]
bootstrap_servers = "kafka:9092"
[collector]
origins = ["https://www.acme.example"]
[[write_keys]]
name = "website"
key_file = "{key}"
[channels.sales-hot]
url = "json://localhost"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "key").write_text("s3cret\n")
    path = tmp_path / "leadstream.toml"
    path.write_text(FILE.format(key=tmp_path / "key"))
    return path


def test_nothing_at_all_gives_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings(None, {}) == Settings()


def test_a_file_is_read_and_secrets_come_from_files(file: Path) -> None:
    settings = load_settings(str(file), {})
    assert (settings.model, settings.kafka.bootstrap_servers) == ("ours.yaml", "kafka:9092")
    assert settings.write_keys[0].key == "s3cret"
    assert settings.channels["sales-hot"].url == "json://localhost"


def test_no_secret_shows_in_a_repr(file: Path) -> None:
    settings = load_settings(str(file), {"REDIS_URL": "redis://:pass@h/0", "LEADSTREAM_WEBHOOK_SECRET": "whsec_x"})
    shown = repr(settings)
    assert not [secret for secret in ("s3cret", "pass", "whsec_x", "json://") if secret in shown]


def test_the_environment_wins(file: Path, tmp_path: Path) -> None:
    (tmp_path / "hook").write_text("whsec_1\n")
    settings = load_settings(
        str(file),
        {
            "KAFKA_BOOTSTRAP_SERVERS": "other:1",
            "LEADSTREAM_COLLECTOR_PORT": "9000",
            "LEADSTREAM_COLLECTOR_ORIGINS": "https://a.example, https://b.example",
            "LEADSTREAM_WEBHOOK_SECRET_FILE": str(tmp_path / "hook"),
            "LEADSTREAM_KAFKA_EMBEDDED": "true",
            "LEADSTREAM_PLAY_DAYS_PER_SECOND": "0.5",
        },
    )
    assert settings.kafka.bootstrap_servers == "other:1"
    assert settings.kafka.embedded
    assert settings.collector.port == 9000
    assert settings.collector.origins == ["https://a.example", "https://b.example"]
    assert settings.webhook.secret == "whsec_1"
    assert settings.play.days_per_second == 0.5


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('modle = "x"', ['leadstream.toml:1: modle: unknown key. Did you mean "model"?']),
        ("[kafka]\n\nboostrap_servers = 1\n[redis]\nurll = 1", ["leadstream.toml:3: kafka.boostrap_servers", "leadstream.toml:5: redis.urll"]),
        ("[collector]\nport = 'eighty'", ["leadstream.toml:2: collector.port is not a whole number"]),
        ("[redis]\nurl_file = '/nowhere'", ["leadstream.toml:2: redis.url_file: cannot read /nowhere"]),
        ("[[write_keys]]\nnam = 'x'", ["leadstream.toml:2: write_keys.nam: unknown key", "leadstream.toml:1: write_keys.name is missing"]),
        ("[[write_keys]]\nname = 'x'\n[[write_keys]]\nname = 1", ["leadstream.toml:4: write_keys.name is not a text"]),
        ("[kafka]\npartitions = 3\n[kafak]\nx = 1", ['leadstream.toml:3: kafak: unknown key. Did you mean "kafka"?']),
        ("\n[channel.sales]\nurl = 'x'", ['leadstream.toml:2: channel: unknown key. Did you mean "channels"?']),
        ("[channels.'sales hot']\nurl = 3", ["leadstream.toml:2: channels.sales hot.url is not a text"]),
        ("kafka.partitons = 3", ["leadstream.toml:1: kafka.partitons: unknown key"]),
        ("model = 'x'\nkafka = {partitons = 3}", ["leadstream.toml:2: kafka.partitons: unknown key"]),
        ("kafka = 3", ["leadstream.toml:1: kafka is not a table"]),
        ("[collector]\nport = 99999", ["leadstream.toml:2: collector.port is not a port. Write a whole number from 0 to 65535"]),
        ("[worker]\ndead_letter_share = 50", ["leadstream.toml:2: worker.dead_letter_share is not a share. Write a number from 0 to 1"]),
        ("[sinks]\ndead_letter_share = nan", ["leadstream.toml:2: sinks.dead_letter_share is not a share"]),
        ("[sinks]\ndead_letter_share = '50%'", ["leadstream.toml:2: sinks.dead_letter_share is not a number"]),
        ("[worker]\nstatus_port = -1\n[sinks]\nstatus_port = 65536", ["leadstream.toml:2: worker.status_port is not a port", "leadstream.toml:4: sinks.status_port is not a port"]),
        ("[collector]\nevents_per_second_per_visitor = -1", ["leadstream.toml:2: collector.events_per_second_per_visitor is not 0 or a number above it"]),
        ("[collector]\nrequests_per_second_per_key = nan", ["leadstream.toml:2: collector.requests_per_second_per_key is not 0 or"]),
        ("[collector]\nspool_max_bytes = 0", ["leadstream.toml:2: collector.spool_max_bytes is not a number above 0"]),
        ("[alerts]\ntimezone = 'Mars'", ["leadstream.toml:2: alerts.timezone is not a time zone."]),
        ("[alerts]\ntimezone = 'Europe/Berln'", ['Did you mean "Europe/Berlin"?']),
        ("[kafka]\nsecurity = 'ssl'\nsasl_mechanism = 'scram'", ["leadstream.toml:2: kafka.security is none of: plaintext, tls", "leadstream.toml:3: kafka.sasl_mechanism is none of: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"]),
        ("[kafka]\nbootstrap_servers = 'kafka'", ["leadstream.toml:2: kafka.bootstrap_servers is no address of brokers. Write HOST:PORT"]),
        ("[redis]\nurl = 'notaurl'", ["leadstream.toml:2: redis.url is not the URL of a Redis."]),
        ("not toml", ["leadstream.toml: "]),
        ("port = 8080", ["leadstream.toml:1: port: unknown key. It belongs into [collector]. Known here: model, kafka"]),
        ("url = 'x'", ["leadstream.toml:1: url: unknown key. Known here: model, kafka"]),
        ("[redis]\nport = 1", ["leadstream.toml:2: redis.port: unknown key. Known here: url"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_line_and_nearest_key(tmp_path: Path, text: str, told: list[str]) -> None:
    path = tmp_path / "leadstream.toml"
    path.write_text(text)
    with pytest.raises(SettingsError) as error:
        load_settings(str(path), {})
    assert len(error.value.problems) == len(told)
    for problem, expected in zip(error.value.problems, told, strict=True):
        assert expected in problem


def test_an_empty_variable_says_nothing(file: Path) -> None:
    empty = {"KAFKA_BOOTSTRAP_SERVERS": "", "LEADSTREAM_COLLECTOR_PORT": "", "LEADSTREAM_COLECTOR_PORT": ""}
    settings = load_settings(str(file), empty)
    assert (settings.kafka.bootstrap_servers, settings.collector.port) == ("kafka:9092", 8080)


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        ("LEADSTREAM_COLECTOR_PORT", ' Did you mean "LEADSTREAM_COLLECTOR_PORT"?'),
        ("LEADSTREAM_WEBHOOK_SECRETFILE", ' Did you mean "LEADSTREAM_WEBHOOK_SECRET_FILE"?'),
        ("LEADSTREAM_REDIS_URI", ' Did you mean "LEADSTREAM_REDIS_URL"?'),
        ("LEADSTREAM_QQQ", " Write LEADSTREAM_<SECTION>_<KEY>, "),
    ],
)
def test_a_variable_that_names_no_setting_is_told_with_the_nearest_and_without_its_value(
    file: Path, variable: str, told: str
) -> None:
    with pytest.raises(SettingsError) as error:
        load_settings(str(file), {variable: "t0p-s3cret", "LEADSTREAM_COLLECTOR_PORT": "9000"})
    [problem] = error.value.problems
    assert problem.startswith(f"{variable}: no setting has this name.{told}")
    assert "t0p-s3cret" not in problem


def test_wrong_variables_and_wrong_keys_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "leadstream.toml"
    path.write_text("modle = 'x'")
    with pytest.raises(SettingsError) as error:
        load_settings(str(path), {"LEADSTREAM_MODLE": "y", "LEADSTREAM_KAFKA_PARTITION": "3"})
    assert [problem.partition(": ")[0] for problem in error.value.problems] == [
        "leadstream.toml:1",
        "LEADSTREAM_KAFKA_PARTITION",
        "LEADSTREAM_MODLE",
    ]


def test_what_kubernetes_says_of_a_service_with_our_name_is_none_of_our_settings(file: Path) -> None:
    links = {
        "LEADSTREAM_SERVICE_HOST": "10.0.0.7",
        "LEADSTREAM_SERVICE_PORT": "8080",
        "LEADSTREAM_SERVICE_PORT_HTTP": "8080",
        "LEADSTREAM_PORT": "tcp://10.0.0.7:8080",
        "LEADSTREAM_PORT_8080_TCP": "tcp://10.0.0.7:8080",
        "LEADSTREAM_PORT_8080_TCP_ADDR": "10.0.0.7",
    }
    assert load_settings(str(file), links) == load_settings(str(file), {})


@pytest.mark.parametrize(
    ("text", "environment", "named"),
    [
        ("", {}, False),
        ("[kafka]\npartitions = 3", {"KAFKA_BOOTSTRAP_SERVERS": ""}, False),
        ("[kafka]\nbootstrap_servers = 'localhost:9092'", {}, True),
        ("", {"KAFKA_BOOTSTRAP_SERVERS": "localhost:9092"}, True),
        ("", {"LEADSTREAM_KAFKA_BOOTSTRAP_SERVERS": "localhost:9092"}, True),
    ],
)
def test_a_broker_is_named_where_somebody_said_where_it_is(
    tmp_path: Path, text: str, environment: dict[str, str], named: bool
) -> None:
    path = tmp_path / "leadstream.toml"
    path.write_text(text)
    assert broker_is_named(str(path), environment) is named


def test_a_file_that_is_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(str(tmp_path / "none.toml"), {})


def test_a_child_process_gets_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings(
        collector=Collector(port=9000, origins=["https://a.example", "https://b.example"], dev_page=True),
        write_keys=[WriteKey("website", 'k"1,2')],
        alerts=Alerts(show=["name"]),
        channels={"sales-hot": Channel("json://localhost/?a=1")},
        play=Play(1, 2, 0.5),
    )
    assert load_settings(None, environment_of(settings)) == settings
    assert load_settings(None, environment_of(Settings())) == Settings()


@pytest.mark.parametrize(
    ("variable", "text", "told"),
    [
        ("LEADSTREAM_CHANNELS", "{", "LEADSTREAM_CHANNELS: not JSON"),
        (
            "LEADSTREAM_WRITE_KEYS",
            '[{"nam": "x"}]',
            'LEADSTREAM_WRITE_KEYS: write_keys.nam: unknown key. Did you mean "name"?',
        ),
        ("LEADSTREAM_CHANNELS", "[]", "LEADSTREAM_CHANNELS: channels is not a table"),
    ],
)
def test_wrong_tables_in_the_environment_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, text: str, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=re.escape(told)):
        load_settings(None, {variable: text})


@pytest.mark.parametrize(
    ("variable", "text", "told"),
    [
        ("LEADSTREAM_COLLECTOR_PORT", "hush", "collector.port is not a whole number"),
        ("LEADSTREAM_WORKER_STATUS_PORT", "70000", "worker.status_port is not a port. Write"),
        ("LEADSTREAM_KAFKA_EMBEDDED", "hush", "kafka.embedded is not true or false"),
        ("LEADSTREAM_PLAY_DAYS_PER_SECOND", "hush", "play.days_per_second is not a number"),
        ("LEADSTREAM_ALERTS_TIMEZONE", "hush", "alerts.timezone is not a time zone. Write"),
        ("LEADSTREAM_WRITE_KEYS", '[{"name": "x", "key": ["hush"]}]', "write_keys.key is not a text"),
        ("LEADSTREAM_REDIS_URL", "hush", "redis.url is not the URL of a Redis. Write"),
        ("REDIS_URL", "http://:hush@x", "redis.url is not the URL of a Redis. Write"),
        ("REDIS_URL", "redis://:hush@127.0.0.1:abc/0", "redis.url is not the URL of a Redis. Write"),
        ("REDIS_URL", "redis://:hush@h:99999/0", "redis.url is not the URL of a Redis. Write"),
        ("REDIS_URL", "redis://:hush@h/0?hushed=1", "redis.url is not the URL of a Redis. Write"),
        ("REDIS_URL", "redis://:hush@[h/0", "redis.url is not the URL of a Redis. Write"),
    ],
)
def test_a_wrong_value_of_a_variable_is_told_with_its_name_and_key_and_without_the_value(
    file: Path, variable: str, text: str, told: str
) -> None:
    with pytest.raises(SettingsError) as error:
        load_settings(str(file), {variable: text})
    [problem] = error.value.problems
    assert problem.startswith(f"{variable}: {told}")
    assert not [secret for secret in ("hush", "70000", "127.0.0.1") if secret in problem]


@pytest.mark.parametrize(
    "url",
    ["redis://h", "rediss://u:p%40ss@h:6380/1?ssl_cert_reqs=none", "unix:///run/redis.sock?db=1", "redis://[::1]:1/0"],
)
def test_what_redis_can_be_reached_by_is_taken(file: Path, url: str) -> None:
    assert load_settings(str(file), {"REDIS_URL": url}).redis.url == url


def test_the_variable_that_gave_the_value_is_told(file: Path, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("hush")
    names = {"LEADSTREAM_REDIS_URL_FILE": str(tmp_path / "url")}
    with pytest.raises(SettingsError, match=r"^LEADSTREAM_REDIS_URL_FILE: redis\.url is not"):
        load_settings(str(file), names)
    assert load_settings(str(file), names | {"REDIS_URL": "redis://h"}).redis.url == "redis://h"


def test_a_section_that_is_no_table_is_told_although_a_variable_gives_one_of_its_keys(tmp_path: Path) -> None:
    path = tmp_path / "leadstream.toml"
    path.write_text("kafka = 3")
    with pytest.raises(SettingsError, match=r"^leadstream\.toml:1: kafka is not a table$"):
        load_settings(str(path), {"KAFKA_BOOTSTRAP_SERVERS": "h:1"})


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://app:hunter2@cache:6390/3", "cache:6390"),
        ("rediss://cache", "cache:6379"),
        ("redis://", "localhost:6379"),
        ("redis://:hunter2@[::1]/0", "[::1]:6379"),
        ("unix://app:hunter2@/run/redis.sock?db=3", "/run/redis.sock"),
    ],
)
def test_the_place_of_redis_has_no_password(url: str, place: str) -> None:
    assert Redis(url).place == place
