from collections.abc import AsyncIterator
from typing import Any

import pytest

from schemas.records import StageTransition
from sinks.alert_text import AlertText
from sinks.alerts import AlertsSink
from sinks.base import RetryLater, SinkError, Undeliverable
from sinks.config import AlertsSettings
from sinks.redis_scripts import connect
from streams.embedded.process import free_port
from tests.sinks.memory import CountedMetrics
from tests.sinks.records import ALERT, HOUR, MARCH_2, delivery, transition


class Heard:
    """A channel that remembers; `troubles` are raised instead, one by one."""

    def __init__(self) -> None:
        self.texts: list[AlertText] = []
        self.troubles: list[SinkError] = []

    async def send(self, text: AlertText) -> None:
        if self.troubles:
            raise self.troubles.pop(0)
        self.texts.append(text)

    @property
    def headlines(self) -> list[str]:
        return [text.lines[0] for text in self.texts]


class Rig:
    def __init__(self, redis_url: str, fallback: Heard | None = None) -> None:
        self.hot, self.inbox = Heard(), Heard()
        self.metrics = CountedMetrics()
        channels = {"sales-hot": self.hot, "sales-inbox": self.inbox}
        self.sink = AlertsSink(AlertsSettings(redis_url), channels, metrics=self.metrics, fallback=fallback)
        self.offset = 0

    async def tell(self, *moves: StageTransition) -> None:
        batch = [delivery(move, self.offset + i) for i, move in enumerate(moves)]
        self.offset += len(batch)
        await self.sink.deliver(batch)


@pytest.fixture
async def rig(redis_url: str) -> AsyncIterator[Rig]:
    client = connect(redis_url)
    await client.flushdb()
    await client.aclose()
    rig = Rig(redis_url)
    yield rig
    await rig.sink.close()


def move(offset: int, at: int = MARCH_2, lead: str = "ada", score: float = 60.0, **alert: Any) -> StageTransition:
    traits = {"name": lead}
    return transition(
        offset=offset, logged_at=at, at=at, lead_key=f"1{lead}", traits=traits, score=score, alert=ALERT | alert
    )


def names(heard: Heard) -> list[str]:
    return [line.split(",")[0] for line in heard.headlines]


async def test_an_alert_goes_to_each_channel_of_its_route_once(rig: Rig) -> None:
    told = move(1, send_to=["sales-hot", "sales-inbox", "sales-hot"])
    await rig.tell(told)
    await rig.tell(told)
    assert names(rig.hot) == names(rig.inbox) == ["ada"]
    assert rig.metrics.counts["leadstream_alerts_decided_total", "sales-hot", "sent"] == 1


async def test_a_transition_without_an_alert_tells_nobody(rig: Rig) -> None:
    await rig.tell(transition(alert=None))
    assert rig.hot.texts == rig.inbox.texts == []


async def test_a_lead_is_quiet_for_its_period_of_record_time_and_then_heard_again(rig: Rig) -> None:
    day = 24 * HOUR
    await rig.tell(move(1), move(2, MARCH_2 + day - 1), move(3, MARCH_2 + day), move(4, MARCH_2 + day + 1))
    assert len(rig.hot.texts) == 2
    assert rig.metrics.counts["leadstream_alerts_decided_total", "sales-hot", "quiet"] == 2


async def test_the_quiet_period_is_per_lead_and_route(rig: Rig) -> None:
    await rig.tell(move(1), move(2, lead="wei"), move(3, route="greater China", send_to=["sales-inbox"]))
    assert names(rig.hot) == ["ada", "wei"]
    assert names(rig.inbox) == ["ada"]


async def test_what_is_over_budget_comes_as_one_digest_when_the_hour_is_over_best_first(rig: Rig) -> None:
    crowd = [move(i, lead=f"v{i}", score=40.0 + i, budget=2) for i in range(6)]
    await rig.tell(*crowd)
    assert names(rig.hot) == ["v0", "v1"]
    await rig.tell(transition(offset=90, alert=None, logged_at=MARCH_2 + HOUR - 1))
    assert len(rig.hot.texts) == 2
    await rig.tell(transition(offset=91, alert=None, logged_at=MARCH_2 + HOUR))
    assert rig.hot.texts[2].subject == "4 more, best first"
    assert [line.split(",")[0] for line in rig.hot.texts[2].lines[1:]] == ["v5", "v4", "v3", "v2"]
    await rig.tell(transition(offset=92, alert=None, logged_at=MARCH_2 + 2 * HOUR))
    assert len(rig.hot.texts) == 3
    assert rig.metrics.counts["leadstream_alerts_decided_total", "sales-hot", "digest"] == 4
    assert rig.metrics.counts["leadstream_alerts_digests_total", "sales-hot"] == 1


async def test_a_new_window_has_a_new_budget(rig: Rig) -> None:
    day = 24 * HOUR
    await rig.tell(move(1, lead="a", budget=1), move(2, lead="b", budget=1), move(3, MARCH_2 + day, "c", budget=1))
    assert names(rig.hot)[0] == "a"
    assert names(rig.hot)[-1] == "c"
    assert rig.hot.texts[1].subject == "1 more, best first"


async def test_a_channel_that_fails_is_asked_again_and_the_others_hear_it_once(rig: Rig) -> None:
    rig.hot.troubles = [RetryLater("slack is away")]
    batch = [
        delivery(move(1, lead="a", send_to=["sales-inbox"]), 0),
        delivery(move(2, lead="b", send_to=["sales-inbox", "sales-hot"]), 1),
    ]
    with pytest.raises(RetryLater) as caught:
        await rig.sink.deliver(batch)
    assert caught.value.done == 1
    await rig.sink.deliver(batch[1:])
    assert names(rig.inbox) == ["a", "b"]
    assert names(rig.hot) == ["b"]


async def test_a_digest_that_fails_is_sent_again_whole(rig: Rig) -> None:
    await rig.tell(*(move(i, lead=f"v{i}", budget=1) for i in range(3)))
    rig.hot.troubles = [RetryLater("slack is away")]
    later = delivery(transition(offset=90, alert=None, logged_at=MARCH_2 + HOUR), 90)
    with pytest.raises(RetryLater):
        await rig.sink.deliver([later])
    await rig.sink.deliver([later])
    assert [text.subject for text in rig.hot.texts[1:]] == ["2 more, best first"]


async def test_losing_redis_costs_at_most_one_alert_more_per_lead(rig: Rig, redis_url: str) -> None:
    await rig.tell(move(1))
    client = connect(redis_url)
    await client.flushdb()
    await client.aclose()
    await rig.tell(move(2, MARCH_2 + 1), move(3, MARCH_2 + 2))
    assert len(rig.hot.texts) == 2


async def test_an_unknown_channel_is_undeliverable_and_no_other_channel_hears_it(rig: Rig) -> None:
    with pytest.raises(Undeliverable, match="route 'hot lead' names channel 'nowhere', which has no settings"):
        await rig.tell(move(1, send_to=["sales-hot", "nowhere"]))
    assert rig.hot.texts == []


async def test_where_there_is_a_fallback_it_takes_what_has_no_settings(redis_url: str, rig: Rig) -> None:
    terminal = Heard()
    other = Rig(redis_url, fallback=terminal)
    await other.tell(move(1, send_to=["nowhere"]))
    assert names(terminal) == ["ada"]
    await other.sink.close()


async def test_redis_that_is_away_is_asked_again_later_and_nobody_is_told_twice() -> None:
    rig = Rig(f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(RetryLater, match="Redis: ConnectionError"):
        await rig.tell(move(1))
    assert rig.hot.texts == []
    assert await rig.sink.healthy() == "Redis: ConnectionError"
    await rig.sink.close()
