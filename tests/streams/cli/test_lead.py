from datetime import UTC, datetime

import pytest

from processors.calendar import DAY_MS
from schemas.codec import decode
from schemas.keys import partition_of
from tests.streams.cli.commands import ADA, Site
from tests.streams.scored_log import START_MS


def iso(at_ms: float) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()


@pytest.mark.parametrize("id_", ["1ada", "ada", "ada@bigbank.example"])
async def test_why_adds_up_and_says_when_the_lead_cools_down(site: Site, id_: str) -> None:
    answer = await site.run("lead", "why", id_)
    assert answer.code == 0
    head, *lines = answer.out.splitlines()
    assert head.startswith("Ada Lovelace, CTO, Big Bank    MQL since ")
    assert "score 75.0" in head
    text = "\n".join(lines)
    assert "engagement  75.0" in text
    assert "Came to an event" in text
    assert "1.00 x 50.0 = 50.0" in text
    assert '"Data Summit"' in text
    assert "without an act: leaves MQL on 29 March 2026" in text
    assert "(score below 40)" in text
    assert "to grade B1: +5.0" in text


async def test_a_score_read_later_has_faded(site: Site) -> None:
    data = (await site.run("lead", "why", "ada", "--at", iso(START_MS + 15 * DAY_MS), "--json")).data
    assert 50 < data["score"] < 55
    assert sum(part["points"] for part in data["receipt"]) == pytest.approx(data["score"], abs=1e-6)
    assert data["leaves"]["because"] == "score below 40"
    assert data["at"] == START_MS + 15 * DAY_MS


async def test_after_its_crossing_a_lead_has_left(site: Site) -> None:
    answer = await site.run("lead", "why", "ada", "--at", iso(START_MS + 31 * DAY_MS))
    assert "MQL until 29 March 2026" in answer.out.splitlines()[0]
    assert "has left MQL on 29 March 2026" in answer.out
    assert "inactivity" in answer.out


async def test_show_tells_who_it_is_and_how_it_moved(site: Site) -> None:
    answer = await site.run("lead", "show", "ada")
    assert answer.code == 0
    assert "ada@bigbank.example" in answer.out
    assert "VISITOR" not in answer.out
    assert "visitor -> lead, act" in answer.out
    assert "lead -> MQL, act, score 75.0" in answer.out
    data = (await site.run("lead", "show", "ada", "--json")).data
    assert [move["to_stage"] for move in data["transitions"]] == ["mql", "lead"]
    assert data["known"] is True


async def test_text_from_outside_cannot_command_the_terminal(site: Site) -> None:
    answer = await site.run("lead", "why", "eve")
    assert "\x1b" not in answer.out
    assert r"evil\x1b[2Jtitle" in answer.out


async def test_an_earlier_time_than_the_last_act_is_refused(site: Site) -> None:
    answer = await site.run("lead", "why", "ada", "--at", iso(START_MS - DAY_MS))
    assert answer.code == 2
    assert "before the last act" in answer.err
    assert (await site.run("lead", "why", "ada", "--at", "tomorrow")).code == 2


async def test_an_unknown_lead_is_a_finding_with_what_to_do(site: Site) -> None:
    answer = await site.run("lead", "show", "no\x07body")
    assert answer.code == 1
    assert "leadstream lead list" in answer.err
    assert "\x07" not in answer.err


async def test_an_empty_read_model_is_told_from_an_unknown_lead(empty: Site) -> None:
    answer = await empty.run("lead", "show", "ada")
    assert answer.code == 1
    assert "Redis holds no lead at all" in answer.err
    answer = await empty.run("lead", "list")
    assert answer.code == 1
    assert "model activate" in answer.err


async def test_the_list_is_sorted_and_filtered(site: Site) -> None:
    data = (await site.run("lead", "list", "--json")).data
    assert [lead["id"] for lead in data] == ["1ada", "1eve"]
    assert data[0]["score"] > data[1]["score"] > 0
    assert [lead["id"] for lead in (await site.run("lead", "list", "--stage", "mql", "--json")).data] == ["1ada"]
    grade = data[1]["grade"]
    assert [lead["id"] for lead in (await site.run("lead", "list", "--grade", grade, "--json")).data] == ["1eve"]
    refused = await site.run("lead", "list", "--grade", "Z9")
    assert (refused.code, '"Z9" is no grade. Write A1 to D4' in refused.err) == (2, True)
    assert len((await site.run("lead", "list", "--limit", "1", "--json")).data) == 1
    first, second = (await site.run("lead", "list")).out.splitlines()
    assert "Ada Lovelace, CTO, Big Bank  (ada)" in first
    assert "visitor eve" in second
    assert "1eve" not in second


async def test_a_stage_that_is_not_in_the_model_is_wrong_input(site: Site) -> None:
    answer = await site.run("lead", "list", "--stage", "mqll")
    assert answer.code == 2
    assert 'Did you mean "mql"?' in answer.err


async def test_feedback_is_a_record_about_the_lead(fresh: Site) -> None:
    answer = await fresh.run("lead", "feedback", "ada", "accepted", "--reason", "call on Friday", "--version", "7")
    assert answer.code == 0
    assert "moves from MQL to SAL" in answer.out
    async with fresh.log() as log:
        records = await log.records(log.topics.events, partition_of(ADA, log.partitions))
        kind, value = decode(records[-1].value)
        assert (kind, records[-1].key) == ("Feedback", ADA)
        assert (value["word"], value["system"], value["object"], value["version"]) == ("accepted", "cli", "1ada", 7)
        assert value["reason"] == "call on Friday"


async def test_a_word_that_no_stage_lists_is_wrong_input_and_not_written(fresh: Site) -> None:
    async with fresh.log() as log:
        before = [len(await log.records(log.topics.events, number)) for number in range(log.partitions)]
    answer = await fresh.run("lead", "feedback", "ada", "acepted")
    assert answer.code == 2
    assert 'Did you mean "accepted"?' in answer.err
    async with fresh.log() as log:
        assert [len(await log.records(log.topics.events, number)) for number in range(log.partitions)] == before


async def test_redis_that_is_away_is_named_without_its_password(site: Site) -> None:
    for arguments in (("lead", "show", "ada"), ("lead", "list"), ("lead", "feedback", "ada", "accepted")):
        answer = await site.run(*arguments, REDIS_URL="redis://app:hunter2@127.0.0.1:1/0")
        assert answer.code == 3
        assert "REDIS_URL" in answer.err
        assert "hunter2" not in answer.err + answer.out
