import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from streams.kafka.brokers import Brokers, UnsafeSettingsError
from streams.settings.brokers import read_brokers
from streams.settings.config import Kafka, SettingsError
from tests.kafka.secured import Authority, require_openssl
from tests.streams.cli.commands import run

WITH_PASSWORD = Kafka(security="tls", sasl_mechanism="SCRAM-SHA-512", username="app", password="hunter2")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    require_openssl()
    return Authority.make(tmp_path_factory.mktemp("tls") / "authority")


def test_without_settings_clients_talk_in_plain_text() -> None:
    assert read_brokers(Kafka("a:1,b:2")) == Brokers("a:1,b:2")
    assert read_brokers(Kafka("a:1")).client_arguments() == {"bootstrap_servers": "a:1"}


def test_tls_trusts_the_authority_of_the_settings_and_no_other(authority: Authority) -> None:
    arguments = read_brokers(Kafka("a:1", security="tls", ca_file=str(authority.ca))).client_arguments()
    assert arguments["security_protocol"] == "SSL"
    assert len(arguments["ssl_context"].get_ca_certs()) == 1
    assert arguments["ssl_context"].check_hostname


def test_a_password_goes_with_tls_and_stands_in_no_repr() -> None:
    brokers = read_brokers(WITH_PASSWORD)
    arguments = brokers.client_arguments()
    del arguments["ssl_context"]
    assert arguments == {
        "bootstrap_servers": "localhost:9092",
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "app",
        "sasl_plain_password": "hunter2",
    }
    assert "hunter2" not in repr(brokers) + repr(WITH_PASSWORD)


def test_a_client_certificate_may_have_its_key_beside_it_or_in_it(authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.sign("client")
    both = tmp_path / "both.pem"
    both.write_text(certificate.read_text() + key.read_text())
    for files in ({"certificate_file": str(certificate), "key_file": str(key)}, {"certificate_file": str(both)}):
        assert read_brokers(Kafka(security="tls", **files)).security.ssl_context is not None  # type: ignore[arg-type]  # only texts are given


def test_a_password_without_tls_is_refused_except_for_the_embedded_broker() -> None:
    unsafe = replace(WITH_PASSWORD, security="plaintext")
    with pytest.raises(UnsafeSettingsError, match=r"SCRAM-SHA-512.*in clear.*kafka\.security") as error:
        read_brokers(unsafe)
    assert "hunter2" not in str(error.value)
    assert read_brokers(replace(unsafe, embedded=True)) == Brokers("localhost:9092")


@pytest.mark.parametrize(
    ("kafka", "told"),
    [
        (Kafka(ca_file="ca.pem"), ["kafka.ca_file is set and not used"]),
        (Kafka(certificate_file="c", key_file="k"), ["kafka.certificate_file is set", "kafka.key_file is set and"]),
        (Kafka(security="tls", key_file="k"), ["kafka.key_file is set without kafka.certificate_file"]),
        (replace(WITH_PASSWORD, password=""), ["set kafka.username and kafka.password"]),
        (replace(WITH_PASSWORD, username=""), ["set kafka.username and kafka.password"]),
        (replace(WITH_PASSWORD, sasl_mechanism=""), ["say kafka.sasl_mechanism, one of PLAIN, SCRAM-SHA-256, SCRAM"]),
        (Kafka(security="tls", ca_file="/none/ca.pem"), ["kafka.ca_file: cannot use /none/ca.pem: No such file"]),
        (
            Kafka(security="tls", certificate_file="/none/c"),
            ["kafka.certificate_file: cannot use /none/c with the key"],
        ),
    ],
)
def test_settings_that_do_not_fit_each_other_are_told(kafka: Kafka, told: list[str]) -> None:
    with pytest.raises(SettingsError) as error:
        read_brokers(kafka)
    assert len(error.value.problems) == len(told)
    assert all(text in problem for text, problem in zip(told, error.value.problems, strict=True)), error.value
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("spoil", ["no PEM", "another key", "a key with a password"])
def test_a_file_that_is_no_certificate_or_key_is_told_and_nobody_is_asked(
    authority: Authority, tmp_path: Path, spoil: str
) -> None:
    certificate, key = authority.sign("client")
    spoilt = tmp_path / "spoilt"
    spoilers: dict[str, Callable[[], object]] = {
        "no PEM": lambda: spoilt.write_text("no PEM"),
        "another key": lambda: shutil.copy(authority.sign("other")[1], spoilt),
        "a key with a password": lambda: subprocess.run(
            ["openssl", "pkey", "-in", str(key), "-aes256", "-passout", "pass:x", "-out", str(spoilt)], check=True
        ),
    }
    spoilers[spoil]()
    with pytest.raises(SettingsError, match=r"certificate_file: cannot use .*spoilt: not PEM, or the key does not fit"):
        read_brokers(Kafka(security="tls", certificate_file=str(certificate), key_file=str(spoilt)))


@pytest.mark.parametrize(
    "words",
    [("worker",), ("collector",), ("sink", "alerts"), ("topics", "check"), ("doctor",), ("verify",)],
    ids=" ".join,
)
async def test_every_command_refuses_a_password_without_tls_with_4(words: tuple[str, ...]) -> None:
    answer = await run(
        *words,
        LEADSTREAM_KAFKA_SASL_MECHANISM="PLAIN",
        LEADSTREAM_KAFKA_USERNAME="app",
        LEADSTREAM_KAFKA_PASSWORD="hunter2",
        LEADSTREAM_COLLECTOR_KEY_SECRET="x",
    )
    assert answer.code == 4, answer
    assert "in clear" in answer.err
    assert "hunter2" not in answer.out + answer.err
