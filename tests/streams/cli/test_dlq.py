"""`dlq replay` and `dlq drop`, and how `list` and `show` tell of them."""

import asyncio
import base64
import os
import pty
import sys
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from processors.outbox import Sent
from schemas.codec import decode, encode
from schemas.keys import lead_key, partition_of
from streams.kafka.topics import Topics
from tests.sinks.records import transition
from tests.streams.cli.commands import Site
from tests.streams.delivery.test_put_back import JSON_EVENT, OPEN_COLLECTOR, of_collector, of_sink, strict
from tests.streams.scored_log import ScoredLog

ROOT = Path(__file__).parents[3]
EVE = b"1eve"


async def misplace(log: ScoredLog) -> None:
    """An act in a partition that is not its lead's: the worker refuses it, and a replay mends it."""
    await log.append(EVE, JSON_EVENT, (partition_of(EVE, log.partitions) + 1) % log.partitions)
    await log.work()


async def test_a_dry_run_says_what_would_be_sent_and_sends_nothing(fresh: Site) -> None:
    async with fresh.log() as log:
        await misplace(log)
        before = [len(await log.records(log.topics.events, number)) for number in range(log.partitions)]
        answer = await fresh.run("dlq", "replay", "--dry-run")
        assert answer.code == 1
        *lines, last = answer.out.splitlines()
        assert any("wrong_partition" in line and "1 record to leadstream.events.v1" in line for line in lines)
        assert any("bad_json" in line and "skipped: it would be refused again: bad_json" in line for line in lines)
        assert last == "would replay 1, skipped 2: it would be refused again"
        assert before == [len(await log.records(log.topics.events, number)) for number in range(log.partitions)]
    assert len((await fresh.run("dlq", "list", "--json")).data) == 3


async def test_what_was_replayed_is_handled_and_listed_with_where_it_went(fresh: Site) -> None:
    async with fresh.log() as log:
        await misplace(log)
    answer = await fresh.run("dlq", "replay", "--reason", "wrong_partition", "--yes")
    assert (answer.code, answer.out) == (0, "replayed 1\n")
    assert {letter["reason"] for letter in (await fresh.run("dlq", "list", "--json")).data} == {
        "bad_json",
        "unknown_schema",
    }
    [_, *lines] = (await fresh.run("dlq", "list", "--all")).out.splitlines()
    assert len(lines) == 3
    assert any(
        "wrong_partition" in line and "replayed" in line and "put back at leadstream.events.v1/" in line
        for line in lines
    )
    assert sum(line.endswith("open") for line in lines) == 2
    [number] = [one["number"] for one in (await fresh.run("dlq", "list", "--all", "--json")).data if one["handled"]]
    assert "handled    replayed" in (await fresh.run("dlq", "show", str(number))).out
    again = await fresh.run("dlq", "replay", str(number), "--yes")
    assert (again.code, again.out.splitlines()[-1]) == (1, "replayed 0, skipped 1: replayed before")
    assert (await fresh.run("verify")).code == 0


async def test_a_dropped_letter_is_off_the_list_and_can_still_be_replayed_by_its_number(fresh: Site) -> None:
    async with fresh.log() as log:
        await misplace(log)
    answer = await fresh.run("dlq", "drop", "--reason", "wrong_partition", "--yes")
    assert (answer.code, answer.out) == (0, "dropped 1\n")
    nothing = await fresh.run("dlq", "list", "--reason", "wrong_partition")
    assert nothing.out == "no open dead letters with the reason 'wrong_partition'; 1 handled: --all\n"
    [letter] = (await fresh.run("dlq", "list", "--reason", "wrong_partition", "--all", "--json")).data
    assert letter["handled"]["outcome"] == "dropped"
    assert (await fresh.run("dlq", "replay", "--reason", "wrong_partition", "--yes")).out == "replayed 0\n"
    twice = await fresh.run("dlq", "drop", letter["id"], "--yes")
    assert (twice.code, twice.out.splitlines()[-1]) == (1, "dropped 0, skipped 1: dropped before")
    done = (await fresh.run("dlq", "replay", letter["id"], "--yes", "--json")).data
    assert [(one["number"], one["outcome"]) for one in done["letters"]] == [(letter["number"], "replayed")]
    assert done["late"] == 0
    assert "would replay 0" in (await fresh.run("dlq", "replay", "--reason", "wrong_partition", "--dry-run")).out


async def test_an_act_of_long_ago_is_put_back_and_told_to_score_nothing(fresh: Site) -> None:
    async with fresh.log() as log:
        await misplace(log)
        fresh.at(log.now + 8 * 86_400_000)
    answer = await fresh.run("dlq", "replay", "--reason", "wrong_partition", "--yes")
    assert answer.out.splitlines() == ["replayed 1", "1 act of more than 7 days ago: in the log, not scored"]


async def test_text_from_outside_is_escaped_and_bytes_are_never_lost(fresh: Site) -> None:
    answer = await fresh.run("dlq", "replay", "2", "--dry-run")
    assert answer.code == 1
    assert "\x1b" not in answer.out
    assert "unknown_schema" in answer.out


@pytest.mark.parametrize("command", [("replay",), ("drop", "1")], ids=" ".join)
async def test_off_a_terminal_it_needs_to_be_told_yes(site: Site, command: tuple[str, ...]) -> None:
    answer = await site.run("dlq", *command)
    assert answer.code == 4
    assert "--yes" in answer.err
    assert len((await site.run("dlq", "list", "--json")).data) == 2


@pytest.mark.parametrize(("answer", "code", "open_"), [("n", 4, 2), ("y", 0, 1)])
async def test_on_a_terminal_it_asks(fresh: Site, answer: str, code: int, open_: int) -> None:
    ours, theirs = pty.openpty()
    environment = os.environ | {"KAFKA_BOOTSTRAP_SERVERS": fresh.broker, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", "from streams.cli import main; main()", "dlq", "drop", "1"]
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdin=theirs, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        os.write(ours, f"{answer}\n".encode())
        async with asyncio.timeout(60):
            out, err = (text.decode() for text in await process.communicate())
    finally:
        if process.returncode is None:
            process.kill()
        os.close(ours)
        os.close(theirs)
    assert process.returncode == code, err
    assert "Drop 1 letter?" in err
    assert out.strip() == ("dropped 1" if code == 0 else "")
    assert len((await fresh.run("dlq", "list", "--json")).data) == open_


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("list", "--reason", "bad_jsn"), "bad_json"),
        (("replay", "--reason", "unknown_shema"), "unknown_schema"),
        (("drop", "--reason", "undeliverabel"), "undeliverable"),
    ],
)
async def test_an_unknown_reason_is_refused_with_the_nearest_one(words: tuple[str, ...], meant: str) -> None:
    answer = await Site("127.0.0.1:1", "redis://127.0.0.1:1/0").run("dlq", *words)
    assert answer.code == 2
    assert f'Did you mean "{meant}"?' in answer.err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("drop",), 2),
        (("replay", "1", "--reason", "bad_json", "--yes"), 2),
        (("replay", "0", "--yes"), 2),
        (("replay", "99", "--yes"), 1),
        (("drop", "nonsense", "--yes"), 1),
    ],
)
async def test_what_names_no_letter_is_refused_before_anything_is_done(
    site: Site, words: tuple[str, ...], code: int
) -> None:
    answer = await site.run("dlq", *words)
    assert (answer.code, answer.out) == (code, "")


async def test_a_transition_that_a_webhook_refused_is_sent_to_it_again_by_its_id(fresh: Site) -> None:
    got: list[str] = []
    status = 410

    async def receive(request: web.Request) -> web.Response:
        got.append(request.headers["webhook-id"])
        return web.Response(status=status)

    app = web.Application()
    app.router.add_post("/", receive)
    async with TestServer(app, host="127.0.0.1") as server:
        fresh.environment |= {
            "LEADSTREAM_WEBHOOK_URL": str(server.make_url("/")),
            "LEADSTREAM_WEBHOOK_ALLOW_PRIVATE": "true",
            "LEADSTREAM_WEBHOOK_SECRET": f"whsec_{base64.b64encode(b's' * 24).decode()}",
        }
        async with fresh.log() as log:
            value = encode("StageTransition", transition(id="t-1"))
            letter = of_sink("webhook", value, Topics().transitions)
            await log.send([Sent("DeadLetter", letter["id"].encode(), encode("DeadLetter", letter))])
        refused = await fresh.run("dlq", "replay", "--reason", "undeliverable", "--yes")
        assert refused.code == 1
        assert refused.out.splitlines()[-1] == "replayed 0, skipped 1: the destination refuses it again"
        status = 204
        answer = await fresh.run("dlq", "replay", "--reason", "undeliverable", "--yes")
    assert (answer.code, answer.out) == (0, "replayed 1\n")
    assert got == ["t-1", "t-1"]


async def test_a_sink_without_settings_here_says_so_and_the_letter_stays_open(fresh: Site) -> None:
    async with fresh.log() as log:
        letter = of_sink("webhook", encode("StageTransition", transition(id="t-1")), Topics().transitions)
        await log.send([Sent("DeadLetter", letter["id"].encode(), encode("DeadLetter", letter))])
    answer = await fresh.run("dlq", "replay", letter["id"], "--yes")
    assert answer.code == 1
    assert "the sink webhook cannot be made from the settings here: [webhook] url is not set" in answer.out
    assert len((await fresh.run("dlq", "list", "--json")).data) == 3


async def test_a_request_is_replayed_with_the_collector_s_own_settings(fresh: Site) -> None:
    identify = {"type": "identify", "messageId": "m1", "traits": {"email": "zoe@bigbank.example"}}
    letter = of_collector({"batch": [identify, identify]}, settings=strict(OPEN_COLLECTOR))
    key = lead_key(None, None, "zoe@bigbank.example", OPEN_COLLECTOR.secret)
    assert key is not None
    async with fresh.log() as log:
        await log.send([Sent("DeadLetter", letter["id"].encode(), encode("DeadLetter", letter))])
        refused = await fresh.run("dlq", "replay", letter["id"], "--yes")
        assert refused.code == 1
        assert "the collector's key_secret is not set here" in refused.out
        answer = await fresh.run("dlq", "replay", letter["id"], "--yes", LEADSTREAM_COLLECTOR_KEY_SECRET="secret")
        assert (answer.code, answer.out) == (0, "replayed 1\n")
        records = await log.records(log.topics.events, partition_of(key, log.partitions))
        assert [decode(one.value)[1]["event_id"] for one in records if one.key == key] == ["m1", "m1"]


async def test_an_alert_on_the_terminal_is_no_part_of_the_answer(fresh: Site) -> None:
    fresh.environment |= {"LEADSTREAM_CHANNELS": '{"sales-hot": {"url": "terminal:"}}'}
    async with fresh.log() as log:
        letter = of_sink("alerts", encode("StageTransition", transition(id="t-1")), Topics().transitions)
        await log.send([Sent("DeadLetter", letter["id"].encode(), encode("DeadLetter", letter))])
    answer = await fresh.run("dlq", "replay", letter["id"], "--yes", "--json")
    assert answer.code == 0
    assert [one["outcome"] for one in answer.data["letters"]] == ["replayed"]
    assert answer.err.strip(), "the alert itself"
