import pytest

from streams.clock import SystemClock
from streams.doctor.clocks import check_clocks, judge_clocks
from streams.kafka.topics import Topics
from tests.brokers import Broker
from tests.streams.scored_log import ScoredLog
from tests.streams.test_require_alone import ON_APACHE

NOW = 1_800_000_000_000


@pytest.mark.parametrize(
    ("stamps", "level", "says"),
    [
        (
            [(NOW - 5_000, NOW - 5_030), (NOW - 1_000, NOW - 1_002)],
            "ok",
            "stamped 2 to 30 ms after the collector took them",
        ),
        ([(NOW + 9_000, NOW + 9_000)], "warn", "the broker's is 9 s ahead of this machine's"),
        ([(NOW - 60_000, NOW - 50_000), (NOW, NOW)], "warn", "the broker's is 10 s behind the collector's"),
        ([(NOW, NOW - 3_600_000), (NOW, NOW)], "ok", "0 to 3600000 ms"),  # one was spooled
        ([(NOW, NOW - 3_600_000), (NOW, NOW - 120_000)], "warn", "stamped 120 s or more after the collector took them"),
    ],
)
def test_far_clocks_are_warned_of(stamps: list[tuple[int, int]], level: str, says: str) -> None:
    [finding] = judge_clocks(stamps, NOW)
    assert (finding.level, says in finding.what) == (level, True), finding
    assert bool(finding.fix) == (level == "warn")


def test_without_events_there_is_nothing_to_say() -> None:
    assert judge_clocks([], NOW) == []


@ON_APACHE
async def test_the_stamps_of_a_real_log_are_read(broker: Broker, prefix: str) -> None:
    topics = Topics(prefix)
    async with ScoredLog.start(broker, topics) as log:
        assert await check_clocks(broker.at, topics, SystemClock().now_ms) == []
        await log.act(b"1ada")  # which a collector took a day ago
        [finding] = await check_clocks(broker.at, topics, SystemClock().now_ms)
    assert (finding.level, "they were spooled, or the broker's clock is ahead" in finding.what) == ("warn", True)
