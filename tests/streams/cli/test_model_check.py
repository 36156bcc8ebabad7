"""`leadstream model check` beside a broker: what the file changes against the active model."""

import asyncio
import socket
from pathlib import Path

import pytest

from streams import recent_events
from streams.cli import model_comparison
from streams.embedded.process import free_port
from tests.streams.cli.commands import REFERENCE, Answer, Site, run

CHANGED = REFERENCE.replace(
    "name: Viewed pricing, group: web, points: 15,", "name: Viewed pricing, group: web, points: 10,"
)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Written by the test; the working directory holds no settings."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "model.yaml"


async def check(file: Path, text: str, *options: str, broker: str = "") -> Answer:
    await asyncio.to_thread(file.write_text, text, "utf-8")
    return await run("model", "check", str(file), *options, KAFKA_BOOTSTRAP_SERVERS=broker)


async def test_what_changes_against_the_active_model_is_told(site: Site, file: Path) -> None:
    answer = await check(file, CHANGED, broker=site.broker)
    assert answer.code == 0
    _, compared, tests = answer.out.splitlines()
    assert compared.startswith("against the active b2b-reference@")
    assert compared.endswith(": pricing-page points 15 -> 10 (at once)")
    assert tests == "2 of 2 tests passed"
    assert answer.err == ""


async def test_what_changes_from_now_on_only_is_said_with_what_that_means(site: Site, file: Path) -> None:
    text = REFERENCE.replace('event: page_view, url: "*/careers*"', 'event: page_left, url: "*/careers*"')
    told = (await check(file, text, broker=site.broker)).out.splitlines()
    assert told[1].endswith(": careers-page when.event page_view -> page_left (from now on)")
    assert told[2].startswith("what changes from now on leaves earlier points as they are")
    found = (await check(file, text, "--json", broker=site.broker)).data["active"]["keys"]
    assert [(each["before"], each["after"]) for each in found] == [("page_view", "page_left")]


async def test_a_rule_that_is_gone_without_an_heir_is_a_warning(site: Site, file: Path) -> None:
    text = CHANGED.replace("{id: careers-page, name: Looked at jobs", "{id: jobs, name: Looked at jobs")
    answer = await check(file, text, broker=site.broker)
    assert "warn the points that leads earned by careers-page are worth nothing from now on" in answer.err
    found = (await check(file, text, "--json", broker=site.broker)).data
    assert (found["active"]["added"], found["active"]["removed"]) == (["jobs"], ["careers-page"])
    assert found["active"]["keys"] == [
        {"rule": "pricing-page", "key": "points", "before": "15", "after": "10", "effect": "at once"}
    ]
    assert ["careers-page" in warning for warning in found["warnings"]] == [True]
    assert (
        await check(file, text.replace("{id: jobs,", "{id: jobs, was: careers-page,"), broker=site.broker)
    ).err == ""


async def test_the_active_model_itself_is_the_same(site: Site, file: Path) -> None:
    answer = await check(file, REFERENCE, broker=site.broker)
    assert "\nthe same as the active b2b-reference@" in answer.out


async def test_without_a_broker_in_the_settings_nothing_is_asked(file: Path) -> None:
    answer = await check(file, CHANGED)
    assert answer.code == 0
    assert answer.err.startswith("not compared: no broker configured")
    assert len(answer.err.splitlines()) == 1
    assert (await check(file, CHANGED, "--json")).data["active"] is None


@pytest.mark.parametrize(("text", "code"), [(CHANGED, 0), (CHANGED.replace("score: 60,", "score: 61,"), 1)])
async def test_a_broker_that_is_away_is_one_line_and_the_file_alone_decides(file: Path, text: str, code: int) -> None:
    away = f"127.0.0.1:{free_port()}"
    answer = await check(file, text, broker=away)
    assert answer.code == code
    assert answer.err == f"not compared: the broker at {away} does not answer (nothing listens on {away})\n"
    assert "of 2 tests passed" in answer.out


async def test_a_broker_that_says_nothing_is_not_waited_for(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_comparison, "_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with asyncio.timeout(30):
            answer = await check(file, CHANGED, broker=f"127.0.0.1:{silent.getsockname()[1]}")
    assert answer.code == 0
    assert "does not answer (TimeoutError)" in answer.err


async def test_a_broker_without_topics_or_without_a_model_is_told(empty: Site, file: Path) -> None:
    answer = await check(file, CHANGED, broker=empty.broker)
    assert answer.code == 0
    assert f"not compared: the broker at {empty.broker} has no topic leadstream." in answer.err
    async with empty.log():
        pass
    assert (await check(file, CHANGED, broker=empty.broker)).err == "not compared: no model is active yet\n"


async def test_a_wrong_file_is_wrong_input_before_any_broker_is_asked(site: Site, file: Path) -> None:
    answer = await check(file, CHANGED.replace("points: 10", "pionts: 10"), broker=site.broker)
    assert answer.code == 2
    assert "compared" not in answer.err


async def test_wrong_settings_are_wrong_input(file: Path) -> None:
    (file.parent / "leadstream.toml").write_text("[kafka]\nbootstrap = 1\n")
    answer = await check(file, CHANGED)
    assert answer.code == 2
    assert "leadstream.toml:2: kafka.bootstrap: unknown key" in answer.err


# --- --on ---


async def check_on(site: Site, file: Path, text: str, span: str, *options: str) -> Answer:
    """By the clock of the site: its acts are of the last hour."""
    await asyncio.to_thread(file.write_text, text, "utf-8")
    return await site.run("model", "check", str(file), "--on", span, *options)


async def test_a_rule_that_no_act_of_that_time_fits_is_a_warning_with_its_place(site: Site, file: Path) -> None:
    answer = await check_on(site, file, REFERENCE.replace("event: event_attended}", "event: events_attended}"), "30d")
    assert answer.code == 0
    assert (
        'warn model.yaml:59:67: rules[9].when: no event "events_attended" in the last 30 days. '
        "Seen: event_attended (once)\n" in answer.err
    )
    assert "rules[0].when" not in answer.err, "two visitors looked at prices"
    assert answer.err.count("warn ") == 15, "two rules of seventeen were fitted"


async def test_json_has_what_was_read_and_the_warnings(site: Site, file: Path) -> None:
    found = (await check_on(site, file, REFERENCE, "12h", "--json")).data
    assert found["on"] == {"span_ms": 12 * 3_600_000, "events": 5, "cut": False}
    assert [warning for warning in found["warnings"] if '"trial_started" in the last 12h' in warning]
    assert (await site.run("model", "check", str(file), "--json")).data["on"] is None


async def test_where_no_act_is_recent_enough_no_rule_is_blamed(site: Site, file: Path) -> None:
    answer = await check_on(site, file, REFERENCE, "1s")
    assert answer.err == "no act in the last 1s: which rules fit cannot be told\n"


async def test_what_was_left_out_is_said(site: Site, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_events, "MAX_RECORDS", 4)
    answer = await check_on(site, file, REFERENCE, "30d")
    assert "only the newest " in answer.err
    assert " of the last 30 days were read\n" in answer.err


async def test_what_was_asked_for_and_cannot_be_read_is_an_error(file: Path) -> None:
    without = await check(file, REFERENCE, "--on", "30d")
    assert without.code == 2
    assert "--on reads the events log, and no broker is configured" in without.err
    away = await check(file, REFERENCE, "--on", "30d", broker=f"127.0.0.1:{free_port()}")
    assert away.code == 3
    assert "KAFKA_BOOTSTRAP_SERVERS" in away.err
    wrong = await check(file, REFERENCE, "--on", "30")
    assert wrong.code == 2
    assert '"30" has no unit. Write 30d' in wrong.err
