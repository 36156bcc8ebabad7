"""Apache Kafka with TLS, passwords and client certificates. The certificates are made on the spot."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from streams.embedded.process import LOOPBACK, free_port
from tests.kafka.apache import ApacheKafka

USER, PASSWORD = "leadstream", "correct-horse"
MECHANISM = "SCRAM-SHA-512"
_DAYS = "2"
_CA = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n"
_LEAF = (
    f"basicConstraints=critical,CA:FALSE\nsubjectAltName=IP:{LOOPBACK}\nsubjectKeyIdentifier=hash\n"
    "authorityKeyIdentifier=keyid\n"
)


def require_openssl() -> None:
    """Skip where there is no `openssl`; fail there in CI."""
    if shutil.which("openssl") is not None:
        return
    if os.environ.get("CI") == "true":
        pytest.fail("CI must run the tests of TLS; not on the PATH: openssl")
    pytest.skip("NOT TESTED WITH TLS: openssl not found on the PATH")


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA in a folder of its own, and what it signs."""

    directory: Path

    @classmethod
    def make(cls, directory: Path) -> "Authority":
        directory.mkdir()
        made = cls(directory)
        made._certify("ca", _CA, "-signkey", str(directory / "ca.key"))
        return made

    @property
    def ca(self) -> Path:
        return self.directory / "ca.pem"

    def sign(self, name: str) -> tuple[Path, Path]:
        """Certificate and key of `name`, for 127.0.0.1."""
        signers = ("-CA", str(self.ca), "-CAkey", str(self.directory / "ca.key"), "-CAcreateserial")
        self._certify(name, _LEAF, *signers)
        return self.directory / f"{name}.pem", self.directory / f"{name}.key"

    def _certify(self, name: str, extensions: str, *signed_by: str) -> None:
        key, request, text = (self.directory / f"{name}.{kind}" for kind in ("key", "csr", "ext"))
        text.write_text(extensions)
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        subject = ("-subj", f"/O=leadstream tests/CN={name}")
        _openssl("req", "-new", *curve, *subject, "-keyout", str(key), "-out", str(request))
        certificate = str(self.directory / f"{name}.pem")
        _openssl(
            "x509", "-req", "-in", str(request), *signed_by,
            "-days", _DAYS, "-extfile", str(text), "-out", certificate,
        )  # fmt: skip


def _openssl(*arguments: str) -> None:
    run = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stderr


def _store(file: Path, *parts: Path) -> Path:
    file.write_text("".join(part.read_text() for part in parts))
    return file


@dataclass(frozen=True, slots=True)
class SecuredKafka:
    """A node with a port in plain text, one with TLS and a password, and one with TLS and a client certificate."""

    node: ApacheKafka
    authority: Authority
    stranger: Authority
    password_port: int
    certificate_port: int

    @classmethod
    @asynccontextmanager
    async def start(cls) -> AsyncIterator["SecuredKafka"]:
        with tempfile.TemporaryDirectory(prefix="leadstream-tls-") as name:
            authority, stranger = (Authority.make(Path(name, each)) for each in ("authority", "stranger"))
            certificate, key = await asyncio.to_thread(authority.sign, "broker")
            store = _store(Path(name, "broker-store.pem"), key, certificate)
            listeners = {"PASSWORD": free_port(), "CERTIFICATE": free_port()}
            login = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            settings = {
                "listener.security.protocol.map": (
                    "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PASSWORD:SASL_SSL,CERTIFICATE:SSL"
                ),
                "connection.failed.authentication.delay.ms": "0",
                "ssl.keystore.type": "PEM",
                "ssl.keystore.location": str(store),
                "ssl.truststore.type": "PEM",
                "ssl.truststore.location": str(authority.ca),
                "listener.name.certificate.ssl.client.auth": "required",
                "listener.name.password.sasl.enabled.mechanisms": MECHANISM,
                f"listener.name.password.{MECHANISM.lower()}.sasl.jaas.config": login,
            }
            users = [f"{MECHANISM}=[name={USER},password={PASSWORD}]"]
            async with ApacheKafka.start(settings, listeners=listeners, users=users) as node:
                yield cls(node, authority, stranger, listeners["PASSWORD"], listeners["CERTIFICATE"])

    @property
    def by_password(self) -> dict[str, str]:
        """The settings of a client, as variables."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": f"{LOOPBACK}:{self.password_port}",
            "LEADSTREAM_KAFKA_SECURITY": "tls",
            "LEADSTREAM_KAFKA_CA_FILE": str(self.authority.ca),
            "LEADSTREAM_KAFKA_SASL_MECHANISM": MECHANISM,
            "LEADSTREAM_KAFKA_USERNAME": USER,
            "LEADSTREAM_KAFKA_PASSWORD": PASSWORD,
        }

    @property
    def by_certificate(self) -> dict[str, str]:
        certificate, key = self.authority.sign("client")
        return {
            "KAFKA_BOOTSTRAP_SERVERS": f"{LOOPBACK}:{self.certificate_port}",
            "LEADSTREAM_KAFKA_SECURITY": "tls",
            "LEADSTREAM_KAFKA_CA_FILE": str(self.authority.ca),
            "LEADSTREAM_KAFKA_CERTIFICATE_FILE": str(certificate),
            "LEADSTREAM_KAFKA_KEY_FILE": str(key),
        }
