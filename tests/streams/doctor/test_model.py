from streams.doctor.model import check_model
from streams.finding import Finding
from streams.kafka.topics import Topics
from streams.settings.config import Alerts, Channel, Settings
from tests.brokers import Broker
from tests.streams.cli.commands import REFERENCE
from tests.streams.scored_log import SITE, ScoredLog


async def test_without_a_model_the_command_is_told(broker: Broker, prefix: str) -> None:
    topics = Topics(prefix)
    async with ScoredLog.start(broker, topics, model=None):
        [finding] = await check_model(broker.at, topics, Settings())
    assert (finding.level, finding.fix) == ("warn", "leadstream model activate model.yaml")


async def test_a_model_in_force_is_named_and_one_that_lacks_somewhere_is_told(broker: Broker, prefix: str) -> None:
    topics = Topics(prefix)
    async with ScoredLog.start(broker, topics, model=SITE) as log:
        [finding] = await check_model(broker.at, topics, Settings(alerts=Alerts(terminal=True)))
        assert finding.level == "ok"
        assert finding.what.startswith("model: ")
        assert finding.what.endswith(" is in force")
        log.partitions = 1  # the next activation is interrupted after the first partition
        await log.activate(REFERENCE, 2)
        [finding] = await check_model(broker.at, topics, Settings())
    assert (finding.level, "is in force in 1 of 2 partitions" in finding.what) == ("warn", True)


async def test_a_channel_of_the_model_that_is_not_set_is_told(broker: Broker, prefix: str) -> None:
    topics = Topics(prefix)
    async with ScoredLog.start(broker, topics, model=REFERENCE):
        _, finding = await check_model(broker.at, topics, Settings())
        assert finding.level == "warn"
        assert "`leadstream sink alerts` would not start" in finding.what
        name = finding.fix.partition("[channels.")[2].partition("]")[0]
        names = finding.what.partition("sends to ")[2].partition(", not in")[0].split(", ")
        assert name in names
        given = Settings(channels={each: Channel("terminal:") for each in names})
        for settings in (given, Settings(alerts=Alerts(terminal=True))):
            [finding] = await check_model(broker.at, topics, settings)
            assert finding == Finding("ok", finding.what)
