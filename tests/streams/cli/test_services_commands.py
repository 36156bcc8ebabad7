"""`doctor` and `topics`."""

from streams.embedded.process import free_port
from tests.streams.cli.commands import Site


async def test_topics_are_made_once(empty: Site) -> None:
    planned = await empty.run("topics", "ensure", "--partitions", "3", "--dry-run")
    assert planned.code == 0
    assert "would create leadstream.events.v1" in planned.out
    made = await empty.run("topics", "ensure", "--partitions", "3", "--json")
    assert len(made.data["created"]) == 5
    assert made.data["epochs"] == [f"leadstream.events.v1/{number}" for number in range(3)]
    again = await empty.run("topics", "ensure", "--partitions", "3")
    assert (again.code, again.out) == (0, "all topics are there; nothing to do\n")


async def test_another_partition_count_is_wrong_input(site: Site) -> None:
    answer = await site.run("topics", "ensure", "--partitions", "3")
    assert answer.code == 2
    assert "--partitions 2" in answer.err


async def test_missing_topics_are_failures_with_the_command(empty: Site) -> None:
    for command in (("topics", "check"), ("doctor",)):
        answer = await empty.run(*command)
        assert answer.code == 1
        assert "FAIL  topic leadstream.events.v1 does not exist" in answer.out
        assert "fix: leadstream topics ensure" in answer.out
        assert "5 failures" in answer.out


async def test_findings_have_no_colours_off_a_terminal_and_are_data_too(site: Site) -> None:
    port = str(free_port())
    answer = await site.run("doctor", LEADSTREAM_COLLECTOR_PORT=port)
    assert answer.code == 0
    assert "\x1b" not in answer.out
    assert "ok    topics: 5 of 5, 2 partitions" in answer.out
    assert answer.out.splitlines()[-1] == "3 ok, 9 warnings, 0 failures"
    levels = [finding["level"] for finding in (await site.run("doctor", "--json", LEADSTREAM_COLLECTOR_PORT=port)).data]
    assert levels.count("warn") == 9


async def test_a_service_that_is_away_is_exit_code_3(site: Site) -> None:
    away = f"127.0.0.1:{free_port()}"
    assert (await site.run("doctor", KAFKA_BOOTSTRAP_SERVERS=away)).code == 3
    assert (await site.run("doctor", REDIS_URL=f"redis://{away}/0")).code == 3
