import random
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import LeadSnapshot, StageTransition
from sinks import redis_keys
from sinks.base import Delivery, RetryLater, StartOver
from sinks.config import RedisSettings
from sinks.redis_leads import RANK_HALF_LIFE_MS, RedisLeads, rank, transition_member
from sinks.redis_reader import LeadReader
from sinks.redis_scripts import connect
from streams.embedded.process import free_port
from streams.embedded.store import EmbeddedStore
from tests.sinks.records import MARCH_2, delivery, model, snapshot, transition


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Any]:
    client = connect(redis_url)
    await client.flushdb()
    yield client
    await client.aclose()


@pytest.fixture
async def sink(redis: Any, redis_url: str) -> AsyncIterator[RedisLeads]:
    sink = RedisLeads(RedisSettings(redis_url, transitions_per_lead=3, feed_length=100))
    yield sink
    await sink.close()


@pytest.fixture
def leads(redis: Any) -> LeadReader:
    return LeadReader(redis)


async def deliver(sink: RedisLeads, *batch: Delivery) -> None:
    """As delivery does: a new partition is asked for from its beginning, once."""
    try:
        await sink.deliver(batch)
    except StartOver:
        await sink.deliver(batch)


async def test_a_lead_is_found_by_key_anonymous_id_user_id_and_e_mail(sink: RedisLeads, leads: LeadReader) -> None:
    ada = snapshot()
    wei = snapshot(lead_key="3wei", traits={"user_id": "Wei-7", "email": "wei@example.cn"})
    await deliver(sink, delivery(ada, 0), delivery(wei, 1))
    assert await leads.find_lead("1c_81f2aaaa") == ada
    assert await leads.find_lead("c_81f2aaaa") == ada
    assert await leads.find_lead(" Ada@BigBank.example ") == ada
    assert await leads.find_lead("wei") == wei
    assert await leads.find_lead("wei-7") == wei
    assert await leads.find_lead("nobody@example.com") is None


async def test_of_two_browsers_with_one_e_mail_the_latest_changed_is_found(sink: RedisLeads, leads: LeadReader) -> None:
    old, new = snapshot(lead_key="1a", at=MARCH_2), snapshot(lead_key="1b", at=MARCH_2 + 1)
    await deliver(sink, delivery(new, 0), delivery(old, 1))
    assert await leads.find_lead("ada@bigbank.example") == new


async def test_an_older_snapshot_never_overwrites_a_newer_one(sink: RedisLeads, leads: LeadReader) -> None:
    new = snapshot(epoch=2, offset=3, stage="mql")
    await deliver(sink, delivery(new, 5))
    await deliver(sink, delivery(snapshot(epoch=1, offset=9, stage="lead"), 6))
    await deliver(sink, delivery(snapshot(epoch=2, offset=2, stage="lead"), 7))
    assert await leads.find_lead(new["lead_key"]) == new
    assert await leads.count_leads("lead") == 0


async def test_a_lead_leaves_the_indexes_of_its_old_stage_and_e_mail(sink: RedisLeads, leads: LeadReader) -> None:
    await deliver(sink, delivery(snapshot(offset=1, stage="lead"), 0))
    moved = snapshot(offset=2, stage="mql", traits={"email": "ada@home.example"})
    await deliver(sink, delivery(moved, 1))
    assert await leads.list_leads("lead") == []
    assert await leads.list_leads("mql") == [moved]
    assert await leads.find_lead("ada@bigbank.example") is None


async def test_a_forgotten_lead_is_gone_and_an_older_snapshot_does_not_bring_it_back(
    sink: RedisLeads, leads: LeadReader, redis: Any
) -> None:
    old = delivery(snapshot(), 4)
    forgotten = delivery(None, 5, key=b"1c_81f2aaaa")
    await deliver(sink, old, delivery(transition(), 0), forgotten)
    await deliver(sink, old)
    assert await leads.find_lead("c_81f2aaaa") is None
    assert await leads.list_leads() == []
    assert await leads.transitions_of("1c_81f2aaaa") == []
    assert await leads.latest_transitions() == []
    names = {key.decode() for key in await redis.keys("*")}
    assert names == {redis_keys.POSITIONS, redis_keys.lead("1c_81f2aaaa"), redis_keys.FEED}
    assert await redis.ttl(redis_keys.lead("1c_81f2aaaa")) > 0


async def test_a_visitor_who_comes_back_after_being_forgotten_stays(sink: RedisLeads, leads: LeadReader) -> None:
    forgotten = delivery(None, 5, key=b"1c_81f2aaaa")
    back = snapshot(offset=99)
    await deliver(sink, delivery(snapshot(), 4), forgotten, delivery(back, 6))
    await deliver(sink, forgotten)
    assert await leads.find_lead("c_81f2aaaa") == back


async def test_the_larger_model_wins_in_any_order(sink: RedisLeads, leads: LeadReader) -> None:
    assert await leads.active_model() is None
    await deliver(sink, delivery(model(10), 0), delivery(model(9), 1), delivery(model(10, "00000000"), 2))
    assert await leads.active_model() == model(10)


async def test_the_last_transitions_of_a_lead_are_kept_newest_first(sink: RedisLeads, leads: LeadReader) -> None:
    moves = [transition(offset=offset, seq=offset) for offset in range(5)]
    await deliver(sink, *(delivery(move, i) for i, move in enumerate(moves)))
    await deliver(sink, *(delivery(move, i) for i, move in enumerate(moves)))
    assert [move["offset"] for move in await leads.transitions_of("1c_81f2aaaa")] == [4, 3, 2]
    assert [move["offset"] for move in await leads.latest_transitions()] == [4, 3, 2, 1, 0]


async def test_a_batch_that_cannot_be_written_whole_is_not_written_at_all(
    sink: RedisLeads, leads: LeadReader, redis: Any
) -> None:
    await deliver(sink, delivery(snapshot(lead_key="1first"), 0))
    broken = delivery(snapshot(lead_key="1third"), 2)
    broken.record["stage"] = None  # type: ignore[index]  # no such record passes the decoder
    with pytest.raises(TypeError):
        await sink.deliver([delivery(snapshot(lead_key="1second"), 1), broken])
    assert await leads.count_leads() == 1


async def test_redis_that_is_away_is_asked_again_later() -> None:
    sink = RedisLeads(RedisSettings(f"redis://:secret@127.0.0.1:{free_port()}/0"))
    with pytest.raises(RetryLater) as caught:
        await sink.deliver([delivery(snapshot(), 0)])
    assert caught.value.reason == "Redis: ConnectionError"
    assert await sink.healthy() == "Redis: ConnectionError"
    await sink.close()


async def test_redis_that_restarts_empty_asks_for_everything_once_more() -> None:
    history = [delivery(snapshot(lead_key=f"1{i}", offset=i), i) for i in range(4)]
    async with EmbeddedStore.start() as store:
        sink = RedisLeads(RedisSettings(store.url))
        client = connect(store.url)
        with pytest.raises(StartOver, match="scores/0"):
            await sink.deliver(history[:2])
        await sink.deliver(history[:3])
        await client.flushall()
        with pytest.raises(StartOver):
            await sink.deliver(history[3:])
        await sink.deliver(history)
        assert await LeadReader(client).count_leads() == 4
        assert await client.hget(redis_keys.POSITIONS, "scores/0") == b"4"
        await sink.close()
        await client.aclose()


async def test_redis_that_comes_back_from_an_older_state_asks_for_everything_once_more() -> None:
    history = [delivery(snapshot(lead_key=f"1{i}", offset=i), i) for i in range(4)]
    async with EmbeddedStore.start() as store:
        sink, client = RedisLeads(RedisSettings(store.url)), connect(store.url)
        with pytest.raises(StartOver):
            await sink.deliver(history[:2])
        await sink.deliver(history[:2])
        older = {key: await client.dump(key) for key in await client.keys("*")}
        await sink.deliver(history[2:3])
        await client.flushall()
        for key, value in older.items():
            await client.restore(key, 0, value or b"")
        with pytest.raises(StartOver, match="not the latest, of scores/0"):
            await sink.deliver(history[3:])
        for each in history:  # lower positions on the way are no loss
            await sink.deliver([each])
        assert await LeadReader(client).count_leads() == 4
        await sink.close()
        await client.aclose()


def test_the_url_with_its_password_is_in_no_repr() -> None:
    assert "hunter2" not in repr(RedisSettings("redis://:hunter2@redis:6379/0"))


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"score": 60.0}, {"score": 59.0}),
        ({"score": 31.0}, {"score": 60.0, "at": MARCH_2 - RANK_HALF_LIFE_MS}),
        ({"score": 60.0, "at": MARCH_2 - RANK_HALF_LIFE_MS}, {"score": 29.0}),
        ({"score": 1.0}, {"score": -40.0}),
    ],
)
def test_the_rank_is_the_order_of_the_scores_as_they_have_faded(better: dict[str, Any], worse: dict[str, Any]) -> None:
    assert rank(snapshot(**better)) > rank(snapshot(**worse))


versions = st.tuples(st.integers(1, 9), st.integers(0, 2**40), st.integers(0, 99))


@given(versions, versions)
def test_members_sort_as_the_log_does(one: tuple[int, int, int], other: tuple[int, int, int]) -> None:
    def member(version: tuple[int, int, int]) -> bytes:
        return transition_member(transition(epoch=version[0], offset=version[1], index=version[2], id="x"))

    assert (member(one) < member(other)) == (one < other)


VERSIONS = [(1, 100), (1, 110), (2, 3), (2, 13), (2, 23)]  # of epoch and offset: a log that was made anew begins low


async def test_any_order_of_a_history_gives_the_same_leads(sink: RedisLeads, leads: LeadReader, redis: Any) -> None:
    """Three leads, five versions with a transition each; the last lead is forgotten, and comes back."""
    history: list[Delivery] = []
    for version, (epoch, offset) in enumerate(VERSIONS):
        for lead in range(3):
            changes = {"lead_key": f"1{lead}", "epoch": epoch, "offset": offset + lead}
            at = 10 * version + lead
            if (version, lead) == (3, 2):
                history.append(delivery(None, at, key=b"12"))
                continue
            history.append(delivery(snapshot(stage=f"s{version}", **changes), at))
            history.append(delivery(transition(id=f"{at}", to_stage=f"s{version}", **changes), at))

    async def result(order: Sequence[Delivery]) -> tuple[list[LeadSnapshot], list[list[StageTransition]]]:
        await redis.flushdb()
        await deliver(sink, *order)
        return await leads.list_leads(), [await leads.transitions_of(f"1{lead}") for lead in range(2)]

    expected = await result(history)
    assert {each["stage"] for each in expected[0]} == {"s4"}
    assert [[each["to_stage"] for each in kept] for kept in expected[1]] == [["s4", "s3", "s2"]] * 2
    chance = random.Random(4)
    for _ in range(50):
        again = [*history, *chance.sample(history, 9)]
        chance.shuffle(again)
        assert await result(again) == expected
