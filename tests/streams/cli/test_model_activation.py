import asyncio
import os
import pty
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka import TopicPartition

from processors import model_log
from processors.model_log import unpack_model
from schemas.codec import decode, encode
from streams.activation import plan_activation, write_activation
from streams.cli.model_activation import activate, active
from streams.kafka.log_reader import read_log
from streams.kafka.topics import Topics
from streams.model_records import active_model, first_models, models_in_force
from tests.streams.cli.commands import REFERENCE, Answer, Site

TOPICS = Topics()
CHANGED = (
    REFERENCE.replace("{id: pricing-page, name: Viewed pricing, group: web, points: 15,",
                      "{id: pricing-page, name: Viewed pricing, group: web, points: 25,")
    .replace("{id: case-study, name: Viewed a customer story", "{id: story, was: case-study, name: Viewed a customer story")
    .replace("{id: careers-page, name: Looked at jobs", "{id: jobs, name: Looked at jobs")
)  # fmt: skip


Write = Callable[[str], Path]


@pytest.fixture
def written(tmp_path: Path) -> Write:
    """Writes a model file."""

    def write(text: str) -> Path:
        path = tmp_path / "model.yaml"
        path.write_text(text, "utf-8")
        return path

    return write


async def run(site: Site, file: Path, *options: str) -> Answer:
    return await site.run(str(file), *options, command=activate)


async def activations(site: Site) -> list[tuple[int, int, str]]:
    """(partition, n, version) of every record on the events topic."""
    async with site.log() as log:
        found = []
        for number in range(log.partitions):
            for record in await log.records(log.topics.events, number):
                if record.key == b"ctl" and decode(record.value)[0] == "ModelActivated":
                    value = decode(record.value)[1]
                    found.append((number, value["n"], value["version"]))
        return found


async def test_the_first_model_goes_into_every_partition(empty: Site, written: Write) -> None:
    async with empty.log():
        pass
    answer = await run(empty, written(REFERENCE), "--yes")
    assert answer.code == 0
    assert "activated b2b-reference@" in answer.out
    assert "in 2 partitions" in answer.out
    assert [(partition, n) for partition, n, _ in await activations(empty)] == [(0, 1), (1, 1)]
    shown = await empty.run(command=active)
    assert shown.out.startswith("b2b-reference@")
    assert (await empty.run("--body", command=active)).out == REFERENCE


async def test_the_same_content_again_does_nothing(fresh: Site, written: Write) -> None:
    before = await activations(fresh)
    answer = await run(fresh, written(REFERENCE))
    assert answer.code == 0
    assert "is active already; nothing to do" in answer.out
    assert await activations(fresh) == before


async def test_what_changes_is_told_before_it_is_written(fresh: Site, written: Write) -> None:
    file = written(CHANGED)
    answer = await run(fresh, file, "--yes")
    assert answer.code == 0
    told = answer.out.splitlines()
    assert told[0].startswith("against the active b2b-reference@")
    assert told[1:5] == [
        "  rule jobs added",
        "  rule careers-page removed",
        "  rule case-study renamed to story",
        "  pricing-page points 15 -> 25 (at once)",
    ]
    assert "warn the points that leads earned by careers-page" in answer.out
    assert [(partition, n) for partition, n, _ in await activations(fresh)] == [(0, 1), (0, 2), (1, 1), (1, 2)]


async def test_off_a_terminal_nothing_is_activated_without_yes(fresh: Site, written: Write) -> None:
    before = await activations(fresh)
    file = written(CHANGED)
    answer = await run(fresh, file)
    assert answer.code == 4
    assert "--yes" in answer.err
    assert await activations(fresh) == before


@pytest.mark.parametrize(("said", "code"), [("y", 0), ("n", 4)])
async def test_on_a_terminal_it_asks(fresh: Site, written: Write, said: str, code: int) -> None:
    file = written(CHANGED)
    master, slave = pty.openpty()
    script = (
        "import sys; from streams.cli.model_activation import activate; from streams.cli.exits import CommandError\n"
        "try: activate(sys.argv[1:], standalone_mode=False)\n"
        "except CommandError as error: sys.exit(error.code)"
    )
    environment = os.environ | {"KAFKA_BOOTSTRAP_SERVERS": fresh.broker, "PYTHONPATH": str(Path(__file__).parents[3])}
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, str(file), stdin=slave, env=environment
        )
        os.write(master, f"{said}\n".encode())
        async with asyncio.timeout(30):
            assert await process.wait() == code
    finally:
        os.close(master)
        os.close(slave)
    assert len(await activations(fresh)) == (4 if code == 0 else 2)


async def test_a_wrong_file_is_refused_with_all_its_problems(fresh: Site, written: Write) -> None:
    before = await activations(fresh)
    file = written(REFERENCE.replace("points: 15", "pionts: 15").replace("timezone:", "timezon:"))
    answer = await run(fresh, file, "--yes")
    assert answer.code == 2
    assert 'Did you mean "points"?' in answer.err
    assert 'Did you mean "timezone"?' in answer.err
    assert await activations(fresh) == before


async def test_a_file_whose_tests_fail_is_refused(fresh: Site, written: Write) -> None:
    before = await activations(fresh)
    file = written(REFERENCE.replace("score: 60, grade: B2", "score: 61, grade: B2"))
    answer = await run(fresh, file, "--yes")
    assert answer.code == 2
    assert "expected score: 61" in answer.err
    assert await activations(fresh) == before


async def test_a_file_that_is_not_there_is_wrong_input(site: Site, tmp_path: Path) -> None:
    assert (await run(site, tmp_path / "none.yaml")).code == 2


async def test_an_interrupted_activation_is_completed_by_a_repeat(fresh: Site, written: Write) -> None:
    file = written(CHANGED)
    plan = await plan_activation(fresh.brokers, TOPICS, 2, CHANGED, notify=False)
    partly = type(plan)(plan.before, plan.record, plan.partitions[:1])
    await write_activation(fresh.brokers, TOPICS, partly, lambda: 1)
    answer = await run(fresh, file)
    assert answer.code == 0
    assert "was active already; written into the 1 partition that lacked it" in answer.out
    assert [(partition, n) for partition, n, _ in await activations(fresh)] == [(0, 1), (0, 2), (1, 1), (1, 2)]


async def test_without_a_model_active_is_a_finding(empty: Site) -> None:
    async with empty.log():
        pass
    answer = await empty.run(command=active)
    assert answer.code == 1
    assert "leadstream model activate FILE" in answer.err


async def test_the_newest_model_is_found_folded_or_not(fresh: Site) -> None:
    folded = await active_model(fresh.brokers, TOPICS, 2)
    assert folded is not None
    assert folded["n"] == 1
    plan = await plan_activation(fresh.brokers, TOPICS, 2, CHANGED, notify=True)
    await write_activation(fresh.brokers, TOPICS, plan, lambda: 1)
    newest = await active_model(fresh.brokers, TOPICS, 2)
    assert newest is not None
    assert (newest["n"], newest["notify"]) == (2, True)
    assert set((await models_in_force(fresh.brokers, TOPICS, 2)).ranks.values()) == {(2, newest["version"])}
    first = await first_models(fresh.brokers, TOPICS, 2)
    assert {number: model["n"] for number, (model, _) in first.items()} == {0: 1, 1: 1}


async def test_an_activation_that_the_fold_refuses_is_not_the_first(empty: Site) -> None:
    async with empty.log() as log:
        await log.activate(REFERENCE, 2)
        broken = decode((await log.records(TOPICS.events, 0))[1].value)[1] | {"body": b"no zlib", "n": 9}
        await log.append(b"ctl", encode("ModelActivated", broken), 0)
    assert (await models_in_force(empty.brokers, TOPICS, 2)).ranks[0][0] == 2
    tps = [TopicPartition(TOPICS.events, 0)]
    assert len([record async for record in read_log(empty.brokers, tps)]) == 3


async def test_the_same_model_by_a_newer_fold_is_another_activation(
    fresh: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_force = await active_model(fresh.brokers, TOPICS, 2)
    assert in_force is not None
    text = unpack_model(in_force["body"])
    again = await plan_activation(fresh.brokers, TOPICS, 2, text, notify=False)
    assert (again.repeats, again.partitions) == (True, ())
    monkeypatch.setattr(model_log, "FOLD_VERSION", 2)
    newer = await plan_activation(fresh.brokers, TOPICS, 2, text, notify=False)
    assert (newer.record["n"], newer.record["fold_version"], newer.partitions) == (2, 2, (0, 1))
