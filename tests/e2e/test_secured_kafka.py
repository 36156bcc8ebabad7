"""Every part and tool on Apache Kafka with TLS, a password or a client certificate, and what they say of wrong ones."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from processors.models import load_shipped
from sinks.redis_reader import LeadReader
from sinks.redis_scripts import connect
from streams.cli import cli
from tests.brokers import Broker, require_apache
from tests.e2e.deployment import Deployment
from tests.e2e.running_up import running_up
from tests.eventually import eventually
from tests.kafka.secured import PASSWORD, SecuredKafka, require_openssl
from tests.streams.cli.commands import Answer, run

pytestmark = [pytest.mark.kafka, pytest.mark.asyncio(loop_scope="module")]
PREFIX = "LEADSTREAM_KAFKA_"
EVENTS = 12


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kafka() -> AsyncIterator[SecuredKafka]:
    require_apache()
    require_openssl()
    async with SecuredKafka.start() as started:
        yield started


def without(variables: Mapping[str, str], *words: str) -> dict[str, str]:
    return {name: value for name, value in variables.items() if not any(word in name for word in words)}


@pytest.fixture
async def parts(kafka: SecuredKafka, redis_url: str, prefix: str, tmp_path: Path) -> AsyncIterator[Deployment]:
    """Nothing is started yet; what a test starts ends with it."""
    broker = Broker("apache", kafka.by_password["KAFKA_BOOTSTRAP_SERVERS"])
    deployed = Deployment(broker, redis_url, prefix, tmp_path, more=kafka.by_password)
    try:
        yield deployed
    finally:
        await asyncio.gather(*(child.stop(grace_seconds=15) for child in deployed.children.values()))


async def command(parts: Deployment, *words: str) -> Answer:
    return await run(*words, command=cli, **parts.environment())


async def test_every_part_and_tool_works_with_tls_and_a_password(
    parts: Deployment, redis_url: str, tmp_path: Path
) -> None:
    made = await command(parts, "topics", "ensure", "--partitions", "2")
    assert (made.code, made.out.count("created")) == (0, 6), made
    model = tmp_path / "model.yaml"
    model.write_text(load_shipped("reference"), "utf-8")
    activated = await command(parts, "model", "activate", str(model), "--yes")
    assert activated.code == 0, activated
    parts.start_collector()
    parts.start_sink("redis")
    parts.start_worker()
    await asyncio.gather(*(parts.ready(name) for name in parts.children))
    redis = connect(redis_url)
    async with aiohttp.ClientSession() as session:
        for number in range(EVENTS):
            page = {"url": f"https://www.acme.example/blog/lineage-{number}", "duration_seconds": 90}
            event = {"anonymousId": parts.prefix, "messageId": f"m{number}", "properties": page}
            async with session.post(f"{parts.url}/v1/page", json=event) as response:
                assert response.status == 200

    async def scored() -> bool:
        snapshot = await LeadReader(redis).find_lead(parts.prefix)
        return (
            snapshot is not None and {unit["rule"]: unit["count"] for unit in snapshot["units"]}["long-read"] == EVENTS
        )

    try:
        await eventually(scored, seconds=30)
    finally:
        await redis.aclose()
    tail = await command(parts, "tail", "events", "--type", "page_view", "-n", "100", "--json")
    assert (tail.code, len(tail.out.splitlines())) == (0, EVENTS), tail
    verified = await command(parts, "verify", "--json")
    assert verified.data | {"equal": True, "accepted": EVENTS, "lost": 0, "counted_twice": 0} == verified.data
    said = await command(parts, "lead", "feedback", parts.prefix, "accepted")
    assert said.code == 0, said
    assert (await command(parts, "dlq", "list")).code == 0
    here = {"LEADSTREAM_COLLECTOR_PORT": str(parts.ports["collector"])}
    told = await run("doctor", command=cli, **parts.environment(), **here)
    assert told.code == 0, told
    for well in (
        f"broker: {parts.broker.bootstrap_servers}, 1 node",
        "model: b2b-reference@",
        f"worker: group {parts.prefix}leadstream, 1 member, ",
        f"sink redis: group {parts.prefix}leadstream.sink.redis, 1 member, ",
        f"collector: {parts.url} is ready",
    ):
        assert f"ok    {well}" in told.out, told


async def test_a_client_certificate_opens_the_port_that_wants_one(kafka: SecuredKafka, prefix: str) -> None:
    environment = {**kafka.by_certificate, f"{PREFIX}TOPIC_PREFIX": prefix}
    assert (await run("topics", "ensure", "--partitions", "1", command=cli, **environment)).code == 0
    assert "topics: 5 of 5" in (await run("topics", "check", command=cli, **environment)).out


WRONG_PASSWORD = {f"{PREFIX}PASSWORD": "hunter2"}


async def refused(environment: Mapping[str, str], *says: str) -> None:
    """`topics check` and `doctor` end with 3, and say why without the password."""
    for words in (("topics", "check"), ("doctor",)):
        answer = await run(*words, command=cli, **environment)
        told = answer.out + answer.err
        assert answer.code == 3, told
        assert all(text in told for text in says), told
        assert PASSWORD not in told
        assert "hunter2" not in told


async def test_a_wrong_password_or_user_is_told(kafka: SecuredKafka, redis_url: str) -> None:
    good = {**kafka.by_password, "REDIS_URL": redis_url}
    at = good["KAFKA_BOOTSTRAP_SERVERS"]
    says = "does not accept the user {!r} with this password (SCRAM-SHA-512)"
    await refused({**good, **WRONG_PASSWORD}, f"broker at {at} {says.format('leadstream')}", "kafka.password")
    await refused({**good, f"{PREFIX}USERNAME": "nobody"}, says.format("nobody"), "kafka.username")


async def test_a_certificate_of_another_authority_or_for_another_name_is_told(
    kafka: SecuredKafka, redis_url: str
) -> None:
    good = {**kafka.by_password, "REDIS_URL": redis_url}
    says = "has a certificate that is not trusted"
    await refused({**good, f"{PREFIX}CA_FILE": str(kafka.stranger.ca)}, says, "kafka.ca_file")
    await refused({**good, f"{PREFIX}CA_FILE": ""}, says, "kafka.ca_file")  # the system knows no such authority
    other_name = {**good, "KAFKA_BOOTSTRAP_SERVERS": f"localhost:{kafka.password_port}"}
    await refused(other_name, says, "not valid for 'localhost'")


async def test_a_port_that_wants_something_else_is_told(kafka: SecuredKafka, redis_url: str) -> None:
    good = {**kafka.by_password, "REDIS_URL": redis_url}
    plain = without(good, PREFIX)
    await refused(plain, "speaks TLS on this port", 'kafka.security = "tls"')
    await refused({**good, "KAFKA_BOOTSTRAP_SERVERS": kafka.node.bootstrap_servers}, "does not speak TLS on this port")
    await refused({**good, f"{PREFIX}SASL_MECHANISM": "PLAIN"}, "does not offer PLAIN", "kafka.sasl_mechanism")
    await refused(without(good, "SASL", "USERNAME", "PASSWORD"), "ends the connection once TLS is agreed on")
    for client in (good, without(kafka.by_certificate, "CERTIFICATE", "KEY")):
        at = kafka.by_certificate["KAFKA_BOOTSTRAP_SERVERS"]
        environment = {**client, "KAFKA_BOOTSTRAP_SERVERS": at, "REDIS_URL": redis_url}
        await refused(environment, "a client certificate that it trusts")


async def test_up_on_this_broker_takes_tls_and_password_of_the_settings(
    kafka: SecuredKafka, prefix: str, tmp_path: Path
) -> None:
    settings = {name.removeprefix(PREFIX).lower(): value for name, value in kafka.by_password.items()}
    at = settings.pop("kafka_bootstrap_servers")
    shutil.copy(settings.pop("ca_file"), tmp_path / "ca.pem")
    settings |= {"topic_prefix": prefix, "ca_file": "ca.pem"}  # seen from the folder where it is started
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    (tmp_path / "leadstream.toml").write_text("\n".join(["[kafka]", "partitions = 1", *lines]), "utf-8")
    async with running_up(tmp_path, "--kafka", at) as up:
        assert f"broker {at} answers" in up.output
        assert PASSWORD not in up.output


async def test_a_part_with_a_wrong_password_ends_with_3_and_a_reason(parts: Deployment) -> None:
    started = {
        name: parts.start(name, *words, port="LEADSTREAM_COLLECTOR_PORT", **WRONG_PASSWORD)
        for name, words in {"worker": ("worker",), "collector": ("collector",), "sink": ("sink", "metrics")}.items()
    }
    await eventually(lambda: all(child.exit_code is not None for child in started.values()), seconds=30)
    for name, child in started.items():
        assert child.exit_code == 3, parts.log(name)
        *before, message, fix = parts.log(name).splitlines()
        assert all(" aiokafka" in line for line in before), before
        assert "does not accept the user 'leadstream' with this password" in message
        assert "kafka.password" in fix
        assert "hunter2" not in parts.log(name)
