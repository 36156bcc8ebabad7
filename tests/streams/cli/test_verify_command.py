import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from schemas.keys import partition_of
from schemas.metrics import OF_VERIFY
from tests.streams.cli.commands import ADA, Site


async def test_an_equal_state_is_said_in_one_line(site: Site) -> None:
    answer = await site.run("verify")
    assert answer.code == 0
    assert answer.out.startswith(
        "log 11 records to 2 partition ends; state of 2 leads equal, 2 transitions equal, 0 missing, 0 extra"
    )
    assert len(answer.out.splitlines()) == 1


async def test_the_report_is_data_too(site: Site) -> None:
    data = (await site.run("verify", "--json")).data
    assert data["equal"] is True
    assert (data["leads"], data["lost"], data["counted_twice"], data["differences"]) == (2, 0, 0, [])
    assert (data["accepted"], data["scored"], data["dead_letters"]) == (6, 5, 2)


async def test_a_difference_is_printed_and_is_exit_code_1(fresh: Site) -> None:
    async with fresh.log() as log:
        await log.write_row(partition_of(ADA, log.partitions), ADA, None)
    answer = await fresh.run("verify")
    assert answer.code == 1
    assert "lead 1ada: row is missing, the log gives epoch 1 offset" in answer.out
    assert "state of 1 of 2 leads differs" in answer.out
    data = (await fresh.run("verify", "--json")).data
    assert data["differences"][0]["where"] == "lead 1ada"


async def test_one_lead_alone(fresh: Site) -> None:
    async with fresh.log() as log:
        await log.write_row(partition_of(ADA, log.partitions), ADA, None)
    assert (await fresh.run("verify", "--lead", "eve")).code == 0
    assert (await fresh.run("verify", "--lead", "ada")).code == 1


async def test_records_that_are_not_folded_yet_are_counted(fresh: Site) -> None:
    async with fresh.log() as log:
        await log.act(ADA, url="https://www.acme.example/pricing")
    answer = await fresh.run("verify")
    assert answer.code == 0
    assert "1 record behind these ends" in answer.out


async def test_an_unknown_lead_is_a_finding(site: Site) -> None:
    answer = await site.run("verify", "--lead", "nobody")
    assert answer.code == 1
    assert "leadstream lead list" in answer.err


async def test_each_night_goes_on_from_the_one_before(fresh: Site, tmp_path: Path) -> None:
    bases = str(tmp_path / "bases")
    assert (await fresh.run("verify", "--bases", bases)).out.startswith("log 11 records to 2 partition ends; ")
    async with fresh.log() as log:
        await log.act(ADA, url="https://www.acme.example/pricing")
        await log.resume()
        await log.work()
    data = (await fresh.run("verify", "--bases", bases, "--json")).data
    assert (data["equal"], data["records"], data["trusted_at_ms"]) == (True, 1, None)
    answer = await fresh.run("verify", "--bases", bases)
    assert answer.out.startswith("log 0 records from the base of ")
    assert "state of 2 leads equal" in answer.out
    [base] = (tmp_path / "bases").iterdir()  # of this day the newest is enough
    assert answer.out.endswith(f"left a base for the next run: {base}\n")
    old = await fresh.run("verify", "--bases", bases, "--since", "2026-01-01", "--json")
    assert (old.data["records"], old.data["base_at_ms"]) == (12, None)
    assert "no base is as old as" in old.err
    alone = await fresh.run("verify", "--bases", bases, "--lead", "ada")
    assert (alone.code, alone.out.startswith("log 0 records from the base of ")) == (0, True)


async def test_a_base_that_cannot_be_used_is_wrong_input(fresh: Site, tmp_path: Path) -> None:
    (tmp_path / "20260302T010000.000000.base").write_text("something else")
    answer = await fresh.run("verify", "--bases", str(tmp_path))
    assert (answer.code, answer.out) == (2, "")
    assert "20260302T010000.000000.base cannot be used as a base" in answer.err


async def test_since_says_which_base_and_so_needs_some(site: Site) -> None:
    answer = await site.run("verify", "--since", "2026-03-02")
    assert answer.code == 2
    assert "give --bases, too" in answer.err


async def test_the_result_is_left_as_metrics(fresh: Site, tmp_path: Path) -> None:
    page = tmp_path / "verify.prom"
    assert (await fresh.run("verify", "--textfile", str(page))).code == 0
    shown = metrics_in(page)
    assert shown["leadstream_verify_equal"] == 1
    assert shown["leadstream_verify_records"] == 11
    assert shown["leadstream_verify_end_timestamp_seconds"] > 1_700_000_000
    assert shown.keys() == OF_VERIFY
    async with fresh.log() as log:
        await log.write_row(partition_of(ADA, log.partitions), ADA, None)
    assert (await fresh.run("verify", "--textfile", str(page), "--json")).code == 1
    shown = metrics_in(page)
    assert (shown["leadstream_verify_equal"], shown["leadstream_verify_differences"]) == (0, 1)
    assert shown["leadstream_verify_lost_events"] > 0
    answer = await fresh.run("verify", "--textfile", str(tmp_path / "none" / "verify.prom"))
    assert (answer.code, "name another --textfile" in answer.err) == (2, True)


async def test_a_run_that_could_not_verify_is_left_as_metrics_too(fresh: Site, tmp_path: Path) -> None:
    page, bases = tmp_path / "verify.prom", tmp_path / "bases"
    options = ("verify", "--bases", str(bases), "--textfile", str(page))
    assert (await fresh.run(*options)).code == 0
    assert metrics_in(page)["leadstream_verify_equal"] == 1
    [base] = bases.iterdir()
    base.write_text("something else")
    assert (await fresh.run(*options)).code == 2
    shown = metrics_in(page)
    ended_at = shown.pop("leadstream_verify_end_timestamp_seconds")
    assert ended_at > 1_700_000_000
    assert shown == dict.fromkeys(OF_VERIFY - {"leadstream_verify_end_timestamp_seconds"}, 0)
    answer = await fresh.run("verify", "--lead", "nobody", "--textfile", str(tmp_path / "none" / "verify.prom"))
    assert (answer.code, "no lead 'nobody'" in answer.err) == (1, True)  # not that the file cannot be written
    page.unlink()
    away = await fresh.run("verify", "--textfile", str(page), KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert (away.code, metrics_in(page)["leadstream_verify_equal"]) == (3, 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_run_that_is_stopped_leaves_no_draft_and_says_so_in_the_metrics(
    fresh: Site, tmp_path: Path, number: signal.Signals
) -> None:
    page, bases = tmp_path / "verify.prom", tmp_path / "bases"
    options = [sys.executable, "-c", STOPPED, "verify", "--bases", str(bases), "--textfile", str(page)]
    environment = os.environ | {"KAFKA_BOOTSTRAP_SERVERS": fresh.broker, "STOP": str(int(number))}
    child = await asyncio.create_subprocess_exec(*options, env=environment, stderr=asyncio.subprocess.PIPE)
    _, err = await asyncio.wait_for(child.communicate(), 60)
    assert (child.returncode, err.strip()) == (130, b"stopped")
    assert list(bases.iterdir()) == []
    assert metrics_in(page)["leadstream_verify_equal"] == 0


STOPPED = """
import os
from streams import cli
from streams.verification import bases
add = bases.BaseWriter.add
def add_and_stop(*arguments):
    add(*arguments)
    os.kill(os.getpid(), int(os.environ["STOP"]))
bases.BaseWriter.add = add_and_stop
cli.main()
"""


def metrics_in(page: Path) -> dict[str, float]:
    families = text_string_to_metric_families(page.read_text("utf-8"))
    return {sample.name: sample.value for family in families for sample in family.samples}


async def test_a_row_that_cannot_be_read_is_made_anew(fresh: Site) -> None:
    async with fresh.log() as log:
        await log.write_row(partition_of(ADA, log.partitions), ADA, b"\x09garbage")
    assert (await fresh.run("verify")).code == 1
    answer = await fresh.run("rows", "mend")
    assert (answer.code, answer.out.count("key 1ada: ")) == (0, 1)
    assert "wrote its row from the log" in answer.out
    assert (await fresh.run("verify")).code == 0
    assert (await fresh.run("rows", "mend")).out == "every row can be read; nothing to do\n"
