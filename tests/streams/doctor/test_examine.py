from streams.clock import SystemClock
from streams.doctor.examine import examine
from streams.embedded.process import free_port
from streams.kafka.brokers import Brokers
from streams.kafka.provision import ensure_topics
from streams.kafka.topics import Topics
from streams.settings.config import Channel, Collector, Kafka, Redis, Settings
from tests.brokers import Broker
from tests.streams.scored_log import ScoredLog


def settings_at(broker: str, redis_url: str, prefix: str = "") -> Settings:
    return Settings(
        kafka=Kafka(bootstrap_servers=broker, topic_prefix=prefix),
        redis=Redis(redis_url),
        collector=Collector(port=free_port(), key_secret="x" * 32),
        channels={"sales": Channel("terminal:")},
    )


async def look(broker: Broker, redis_url: str, prefix: str) -> list[str]:
    settings = settings_at(broker.bootstrap_servers, redis_url, prefix)
    findings = await examine(settings, broker.at, SystemClock().now_ms)
    assert all(finding.fix for finding in findings if finding.level != "ok"), findings
    return [f"{finding.level} {finding.what.partition(':')[0]}" for finding in findings]


async def test_everything_that_is_named_has_a_line(broker: Broker, redis_url: str, prefix: str) -> None:
    async with ScoredLog.start(broker, Topics(prefix)) as log:
        await log.act(b"1ada")
        found = await look(broker, redis_url, prefix)
    apache = broker.kind == "apache"
    expected = [
        "ok broker" if apache else "warn broker",
        "ok topics",
        "warn fewer than 3 copies of",
        "ok model",
        "warn worker",
        "warn sink redis",
        "warn sink alerts",
        *(["warn clocks"] if apache else []),
        "warn redis",
        "ok collector",
        "warn collector",
        "ok alerts",
    ]
    assert [_short(line) for line in found if not line.startswith("warn topic ")] == expected


def _short(line: str) -> str:
    return line.partition("copies of")[0] + "copies of" if "copies of" in line else line


async def test_on_topics_that_are_missing_nothing_more_is_looked_for(
    broker: Broker, redis_url: str, prefix: str
) -> None:
    found = await look(broker, redis_url, prefix)
    assert sum(line.startswith("fail topic ") for line in found) == 5
    assert [line for line in found if "worker" in line or "model" in line] == ["warn model, consumer groups, clocks"]
    await ensure_topics(broker.at, Topics(prefix), partitions=2)
    assert "warn model" in await look(broker, redis_url, prefix)


async def test_services_that_are_away_are_failures_and_the_rest_is_looked_at() -> None:
    broker, store = f"127.0.0.1:{free_port()}", free_port()
    settings = settings_at(broker, f"redis://app:hunter2@127.0.0.1:{store}/3")
    findings = await examine(settings, Brokers(broker), SystemClock().now_ms)
    away = [finding for finding in findings if finding.away]
    assert [finding.what.partition(":")[0] for finding in away] == ["broker", "redis"]
    assert findings[1].what == "topics, model, consumer groups, clocks: not looked at"
    assert findings[-1].what.startswith("alerts: sales can be used")
    assert "hunter2" not in str(findings)
