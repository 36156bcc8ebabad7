"""`tail` and `dlq`."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from tests.streams.cli.commands import ADA, Site

ROOT = Path(__file__).parents[3]


async def test_the_last_records_are_shown_oldest_first(site: Site) -> None:
    answer = await site.run("tail", "transitions", "-n", "5")
    assert answer.code == 0
    first, second = answer.out.splitlines()
    assert "visitor -> lead  act" in first
    assert "lead -> mql  act" in second
    assert len((await site.run("tail", "transitions", "-n", "1")).out.splitlines()) == 1


async def test_records_are_filtered_by_lead_and_type(site: Site) -> None:
    lines = (await site.run("tail", "events", "-n", "50", "--lead", "eve", "--json")).out.splitlines()
    assert {json.loads(line)["key"] for line in lines} == {"1eve"}
    assert len(lines) == 2
    [download] = (await site.run("tail", "events", "-n", "50", "--type", "download", "--json")).out.splitlines()
    assert json.loads(download)["value"]["asset"] == "whitepaper"
    [letter] = (await site.run("tail", "dead-letters", "-n", "9", "--type", "bad_json")).out.splitlines()
    assert "1ada  bad_json" in letter
    [move] = (await site.run("tail", "transitions", "-n", "9", "--type", "mql")).out.splitlines()
    assert "lead -> mql" in move


async def test_text_from_outside_cannot_command_the_terminal(site: Site) -> None:
    for command in (("tail", "events", "-n", "50"), ("dlq", "show", "2"), ("tail", "events", "-n", "50", "--json")):
        answer = await site.run(*command)
        assert "\x1b" not in answer.out
        assert "x1b[31munknown" in answer.out


async def test_new_records_are_followed_until_ctrl_c(fresh: Site) -> None:
    environment = os.environ | {"KAFKA_BOOTSTRAP_SERVERS": fresh.broker, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", "from streams.cli import main; main()", "tail", "events", "--json"]
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(30):
            assert b"from now on" in await process.stderr.readline()
            async with fresh.log() as log:
                await log.act(ADA, id_="fresh-act")
            record = json.loads(await process.stdout.readline())
            process.send_signal(signal.SIGINT)
            rest, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert record["value"]["event_id"] == "fresh-act"
    assert (process.returncode, rest, errors) == (0, b"", b"")


async def test_dead_letters_are_counted_by_reason(site: Site) -> None:
    answer = await site.run("dlq", "list")
    assert answer.code == 0
    title, bad_json, unknown = answer.out.splitlines()
    assert title.split()[:2] == ["reason", "count"]
    assert bad_json.split()[:2] == ["bad_json", "1"]
    assert unknown.split()[:2] == ["unknown_schema", "1"]
    assert "number" in title.split()
    heading, line = (await site.run("dlq", "list", "--reason", "bad_json")).out.splitlines()
    assert heading.split()[0] == "number"
    assert line.split()[0] == "1"
    assert (await site.run("dlq", "list", "--reason", "empty")).out == "no dead letters with the reason 'empty'\n"
    assert [letter["number"] for letter in (await site.run("dlq", "list", "--json")).data] == [1, 2]


async def test_a_dead_letter_is_shown_whole(site: Site) -> None:
    answer = await site.run("dlq", "show", "1")
    assert answer.code == 0
    assert "value      {broken" in answer.out
    assert "id         leadstream.events.v1/" in answer.out
    assert "None" not in answer.out
    letter = (await site.run("dlq", "show", "1", "--json")).data
    assert letter["value"] == "{broken"
    assert (await site.run("dlq", "show", letter["id"])).out == answer.out
    assert (await site.run("dlq", "show", letter["id"], "--json")).data["number"] == 1
    missing = await site.run("dlq", "show", "99")
    assert missing.code == 1
    assert "there are 2" in missing.err


async def test_a_letter_that_was_sent_again_counts_once(fresh: Site) -> None:
    async with fresh.log() as log:
        for number in range(log.partitions):
            for record in await log.records(log.topics.dead_letters, number):
                await log.producer.send_and_wait(
                    log.topics.dead_letters, record.value, key=record.key, partition=number
                )
    assert len((await fresh.run("dlq", "list", "--json")).data) == 2
