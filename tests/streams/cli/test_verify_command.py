from schemas.keys import partition_of
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
