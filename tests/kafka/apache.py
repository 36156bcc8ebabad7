"""One Apache Kafka node in KRaft mode on loopback ports, from Maven Central, without a container."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Self

from streams.embedded.broker import answers_metadata
from streams.embedded.process import LOOPBACK, Child, StartError, free_port

HERE = Path(__file__).parent
CLUSTER_ID = "bGVhZHN0cmVhbS10ZXN0cw"  # 16 bytes in base64url, as Kafka wants it
_START_SECONDS = 60.0
_JVM = ["-Xms256m", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"]


def missing_tools() -> list[str]:
    """Which of the programs that Apache Kafka needs are not here."""
    return [name for name in ("java", "mvn") if shutil.which(name) is None]


@cache
def class_path() -> str:
    """Resolved by Maven into `target/` once per version of pom.xml; later runs need no network.

    Raises:
        StartError: Maven failed; the message ends with what it said.
    """
    pom, target = HERE / "pom.xml", HERE / "target" / "classpath.txt"
    if not _fresh(target, pom):
        partial = target.with_suffix(f".{os.getpid()}")
        command = ["mvn", "-q", "-B", "-f", str(pom), "dependency:build-classpath", f"-Dmdep.outputFile={partial}"]
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        if run.returncode != 0:
            raise StartError(f"Maven could not resolve Apache Kafka ({' '.join(command)}):\n{run.stdout[-2000:]}")
        partial.replace(target)
    return target.read_text()


def _fresh(target: Path, pom: Path) -> bool:
    if not target.exists() or target.stat().st_mtime < pom.stat().st_mtime:
        return False
    return all(Path(jar).exists() for jar in target.read_text().split(":"))


class ApacheKafka:
    """A node that tests may kill, pause and restart; its port and data stay the same."""

    def __init__(
        self,
        directory: Path,
        settings: Mapping[str, str],
        *,
        number: int = 1,
        controllers: Sequence[int] = (),
        listeners: Mapping[str, int] = MappingProxyType({}),
        advertised: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """`controllers`: the ports of the quorum, in the order of the nodes' numbers; none: it is alone. `listeners`:
        ports by name, beside the one in plain text. `advertised`: the ports that clients of a listener are told, where
        these are others.
        """
        self.number = number
        self.port = free_port()
        self.bootstrap_servers = f"{LOOPBACK}:{self.port}"
        self.data = directory / "data"
        self._directory = directory
        self._config = directory / "server.properties"
        quorum = controllers or (free_port(),)
        values = _properties(self.data, number, quorum, {"PLAINTEXT": self.port, **listeners}, advertised)
        self._config.write_text("".join(f"{key}={value}\n" for key, value in {**values, **settings}.items()))
        self._child: Child | None = None

    @classmethod
    @asynccontextmanager
    async def start(
        cls,
        settings: Mapping[str, str] | None = None,
        *,
        listeners: Mapping[str, int] = MappingProxyType({}),
        users: Sequence[str] = (),
    ) -> AsyncIterator[Self]:
        """A formatted and running node in a temporary directory.

        Args:
            settings: added to its server.properties.
            listeners: as in the constructor.
            users: with SCRAM, as `kafka-storage.sh format --add-scram` takes them.

        Raises:
            StartError: it did not start; the message ends with the last lines of its log.
        """
        await asyncio.to_thread(class_path)
        with tempfile.TemporaryDirectory(prefix="leadstream-kafka-") as name:
            node = cls(Path(name), settings or {}, listeners=listeners)
            try:
                await node.format(users)
                await node.boot()
                yield node
            finally:
                node.kill()

    @property
    def runs(self) -> bool:
        return self._child is not None

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def has_ended(self) -> bool:
        """By itself."""
        return self._child is not None and self._child.exit_code is not None

    def kill(self) -> None:
        """SIGKILL, reaped. Nothing happens where it does not run."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        self._running().send(signal.SIGSTOP)

    def resume(self) -> None:
        self._running().send(signal.SIGCONT)

    async def stop(self) -> None:
        """SIGTERM: a controlled shutdown."""
        await self._running().stop(grace_seconds=30)
        self._child = None

    async def boot(self) -> None:
        """Start it, for the first time or after `kill` or `stop`, on the same port and data; returns when it answers."""
        assert self._child is None, "it runs"
        self._child = Child(_java("kafka.Kafka", str(self._config)), self._log)
        try:
            await self._child.until(lambda: answers_metadata(self.bootstrap_servers), "Apache Kafka", _START_SECONDS)
        except StartError as error:
            raise StartError(f"{error}\n{self._last_log_lines()}") from error

    async def format(self, users: Sequence[str] = ()) -> None:
        """Prepare its data directory, once."""
        arguments = ["format", "--config", str(self._config), "--cluster-id", CLUSTER_ID]
        arguments += [word for user in users for word in ("--add-scram", user)]
        child = Child(_java("kafka.tools.StorageTool", *arguments), self._log)
        try:
            await asyncio.to_thread(child.wait, _START_SECONDS)
        finally:
            child.kill()
        if child.exit_code != 0:
            raise StartError(f"Apache Kafka's storage was not formatted:\n{self._last_log_lines()}")

    def _running(self) -> Child:
        assert self._child is not None, "it does not run"
        return self._child

    @property
    def _log(self) -> Path:
        return self._directory / "kafka.log"

    def _last_log_lines(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-20:])


def _java(main: str, *arguments: str) -> list[str]:
    java = shutil.which("java")
    if java is None:
        raise StartError("Apache Kafka needs `java` (17 or newer) on the PATH")
    log_level = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    return [java, *_JVM, log_level, "-cp", class_path(), main, *arguments]


def _properties(
    data: Path, number: int, quorum: Sequence[int], listeners: Mapping[str, int], advertised: Mapping[str, int]
) -> dict[str, str]:
    ports = [f"{name}://{LOOPBACK}:{port}" for name, port in listeners.items()]
    told = [f"{name}://{LOOPBACK}:{port}" for name, port in {**listeners, **advertised}.items()]
    return {
        "process.roles": "broker,controller",
        "node.id": str(number),
        "controller.quorum.voters": ",".join(f"{each}@{LOOPBACK}:{port}" for each, port in enumerate(quorum, 1)),
        "controller.listener.names": "CONTROLLER",
        "listeners": ",".join([*ports, f"CONTROLLER://{LOOPBACK}:{quorum[number - 1]}"]),
        "advertised.listeners": ",".join(told),
        "log.dirs": str(data),
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": "0",
        "log.cleaner.backoff.ms": "200",  # tests of compaction need not wait 15 s
        # A node that was killed comes back only when its old registration has run out (9 s by default).
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
        "offsets.topic.num.partitions": "1",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.num.partitions": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
    }
