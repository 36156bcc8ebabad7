"""Text from outside commands no terminal and forges no line, whichever command shows it."""

import json
import subprocess
import sys
import unicodedata
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio
from click.testing import CliRunner

from processors.dead_letters import dead_letter
from processors.outbox import Sent
from processors.play import PlayedRecord
from schemas.codec import encode
from schemas.keys import partition_of
from schemas.records import Feedback, StageTransition
from streams.cli import cli
from tests.sinks.records import MARCH_2, transition
from tests.streams.cli.commands import REFERENCE, Answer, Site, embedded

ROOT = Path(__file__).parents[3]
EVIL = "\x1b[2J\x9b31m\x07\r\x7f\u2028\u202eFORGED\nFORGED"
WHO = "mallory"
KEY = f"1{WHO}".encode()


def check(answer: Answer) -> None:
    """It shows the text, and no character of it that a terminal obeys, or that ends or turns around a line."""
    shown = answer.out + answer.err
    obeyed = {each for each in shown if unicodedata.category(each) in ("Cc", "Cf", "Zl", "Zp")} - {"\n"}
    assert not obeyed, shown
    assert not [line for line in shown.split("\n") if line.startswith("FORGED")], shown


def evil(record: StageTransition) -> StageTransition:
    """The same lead's, with hostile text in every field."""

    def spoilt(value: Any) -> Any:
        if isinstance(value, str):
            return value + EVIL
        if isinstance(value, list):
            return [spoilt(each) for each in value]
        return {name: spoilt(each) for name, each in value.items()} if isinstance(value, dict) else value

    kept = {"lead_key": KEY.decode(), "from_stage": "visitor", "to_stage": "lead"}
    return cast("StageTransition", spoilt(record) | kept)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hostile() -> AsyncIterator[Site]:
    """A site that was told nothing but hostile text."""
    async with embedded() as site, site.log(model=REFERENCE) as log:
        texts = dict.fromkeys(["url", "title", "asset", "referrer", "utm.source", "utm.campaign", "properties.x"], EVIL)
        await log.act(KEY, event="download", id_=EVIL, **texts, **{f"traits.{EVIL}": EVIL, "traits.name": EVIL})
        await log.act(f"1{EVIL}".encode(), event=EVIL)
        feedback = Feedback(word=EVIL, system=EVIL, object=EVIL, version=1, silent=False, user=EVIL, reason=EVIL)
        await log.append(KEY, encode("Feedback", feedback))
        for value in (EVIL.encode(), b"{" + EVIL.encode(), json.dumps({EVIL: 1}).encode(), b"\xc3\x01" + EVIL.encode()):
            await log.append(KEY, value)
        await log.work()
        record = cast("Any", PlayedRecord(7, MARCH_2, EVIL.encode(), EVIL.encode()))
        letter = dead_letter(record, EVIL, 0, step="worker", reason=EVIL, detail=EVIL)
        letter["context"] = {EVIL: EVIL}
        mark = {"id": letter["id"], "outcome": "dropped" + EVIL, "at": MARCH_2, "detail": EVIL}
        number = partition_of(KEY, log.partitions)
        move = encode("StageTransition", evil(transition(offset=1)))
        await log.send([Sent("DeadLetter", KEY, encode("DeadLetter", letter))], number)
        await log.send([Sent("DeadLetter", KEY, encode("DeadLetterHandled", mark))], number)
        await log.send([Sent("StageTransition", KEY, move)], number)
        await site.show_in_redis(log)
        site.at(log.now)
        yield site


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "command",
    [
        "tail events -n 99",
        "tail events -n 99 --json",
        "tail transitions -n 99",
        "tail dead-letters -n 99",
        "dlq list",
        "dlq list --all",
        "dlq list --json",
        "dlq show 1",
        "dlq replay --dry-run",
        f"lead show {WHO}",
        f"lead show {WHO} --json",
        f"lead why {WHO}",
        "lead list",
        "verify",
        "model check {model} --on 30d",
    ],
)
async def test_no_command_passes_it_on(hostile: Site, command: str, tmp_path: Path) -> None:
    model = tmp_path / "model.yaml"
    model.write_text(REFERENCE)
    answer = await hostile.run(*(word.format(model=model) for word in command.split()))
    check(answer)
    assert "FORGED" in answer.out + answer.err or command.startswith("model check")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "words",
    [
        ("lead", "show", f"no{EVIL}"),
        ("lead", "list", "--stage", EVIL),
        ("lead", "feedback", WHO, EVIL),
        ("dlq", "show", EVIL),
        ("verify", "--lead", f"no{EVIL}"),
    ],
)
async def test_what_is_asked_for_is_not_passed_on_by_its_refusal(hostile: Site, words: tuple[str, ...]) -> None:
    answer = await hostile.run(*words)
    assert answer.code
    check(answer)


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_played_file_passes_nothing_on(tmp_path: Path, options: list[str]) -> None:
    call = {"type": "page", "anonymousId": f"a{EVIL}", "timestamp": "2026-03-02T09:00:00Z", "properties": {"url": EVIL}}
    broken = call | {"properties": {EVIL: float("nan")}}
    file = tmp_path / "events.jsonl"
    for lines in ([call, broken], [broken]):
        file.write_text("\n".join(map(json.dumps, lines)))
        result = CliRunner().invoke(cli, ["score", str(file), *options])
        check(Answer(result.exit_code, result.stdout, result.stderr + str(result.exception or "")))


def run_python(*words: str) -> str:
    """What it says on stderr."""
    return subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, check=False).stderr.decode()


def test_an_error_that_ends_a_command_passes_nothing_on() -> None:
    told = run_python("-m", "streams", "score", f"no{EVIL[:-7]}")
    assert told == "leadstream: no\\x1b[2J\\x9b31m\\x07\\r\\x7f\\u2028\\u202eFORGED: No such file or directory\n"


def test_the_log_of_a_part_is_one_line_for_each_thing_and_passes_nothing_on() -> None:
    program = f"""if True:
        import logging
        from streams.cli.part_log import log_to_stderr
        log_to_stderr()
        try:
            raise ValueError({EVIL!r})
        except ValueError:
            logging.getLogger("x").exception("what was sent: %s", {EVIL!r})
    """
    told = run_python("-c", program)
    check(Answer(0, "", told))
    first, *rest = told.splitlines()
    assert first.endswith(r"ERROR x: what was sent: \x1b[2J\x9b31m\x07\r\x7f\u2028\u202eFORGED\nFORGED")
    assert len(rest) > 2
    assert all(line.startswith("  ") for line in rest)


def test_the_log_of_a_part_tells_once_in_a_while_that_a_broker_is_away_and_not_what_a_library_says_for_itself() -> None:
    program = """if True:
        import logging
        from streams.cli.part_log import SELDOM_SECONDS, log_to_stderr
        log_to_stderr()
        conn, ours, at = logging.getLogger("aiokafka.conn"), logging.getLogger("ours"), 0.0
        logging.setLogRecordFactory(lambda *a, **k: (r := logging.LogRecord(*a, **k), setattr(r, "created", at))[0])
        for at in (1e9, 1e9 + 1, 1e9 + SELDOM_SECONDS):
            conn.error("no connection to %s", "b")
            conn.error("no metadata")
            logging.getLogger("asyncio").error(f"socket.accept() out of system resource\\nsocket: {at}")
            ours.info("mine")
        logging.getLogger("stamina").warning("stamina.retry_scheduled")
        logging.getLogger("streams.engine.transport").info("[^-Consumer]: Starting...")
    """
    lines = [line.partition(" ")[2].split(" ", 1)[1] for line in run_python("-c", program).splitlines()]
    lines = [line.partition(r"\nsocket")[0] for line in lines]
    away = [
        "ERROR aiokafka.conn: no connection to b",
        "ERROR aiokafka.conn: no metadata",
        "ERROR asyncio: socket.accept() out of system resource",
        "INFO ours: mine",
    ]
    assert lines == [*away, "INFO ours: mine", *away]
