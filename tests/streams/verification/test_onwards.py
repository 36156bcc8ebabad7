"""Verification from base to base, on a log that a worker has folded."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import pytest_asyncio
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from processors.fold_partition import PART_KEY, PartitionFold
from processors.outbox import Sent
from schemas.codec import decode, encode
from schemas.keys import CONTROL_KEY, partition_of
from streams.kafka.provision import admin_client
from streams.kafka.topics import Topics
from streams.verification.bases import Base, BaseError, Bases
from streams.verification.bounds import Bounds
from streams.verification.live_rows import read_live_rows
from streams.verification.onwards import NothingToFoldFromError, Onwards
from streams.verification.report import VerifyReport
from streams.verification.verify import CannotVerifyError, DamagedRowsError, LogCutError, take_base, verify
from tests.brokers import Broker
from tests.streams.scored_log import ScoredLog

LEADS = [f"1visitor-{number}".encode() for number in range(6)]
ADA, BEN = LEADS[0], LEADS[1]
NIGHT_MS = 86_400_000


@pytest_asyncio.fixture
async def log(broker: Broker, prefix: str) -> AsyncIterator[ScoredLog]:
    """Folded to its end."""
    async with ScoredLog.start(broker, Topics(prefix=prefix)) as log:
        await log.traffic(LEADS)
        await log.tick(days=20)
        await log.work()
        yield log


class Nights:
    """One verification after the other, a day apart."""

    def __init__(self, log: ScoredLog, directory: Path) -> None:
        self.bases = Bases(directory, log.topics.events, log.partitions)
        self._onwards = Onwards(log.brokers, log.topics, log.partitions, self.bases)
        self.now_ms = 1_000_000_000_000

    async def verify(self, since_ms: int | None = None) -> VerifyReport:
        self.now_ms += NIGHT_MS
        return await self._onwards.verify(since_ms, self.now_ms, lambda _done, _total: None)

    @property
    def newest(self) -> Base:
        base = self.bases.newest()
        assert base is not None
        return base


@pytest.fixture
def nights(log: ScoredLog, tmp_path: Path) -> Nights:
    return Nights(log, tmp_path)


def whats(report: VerifyReport) -> list[tuple[str, str]]:
    return [(difference.where, difference.what) for difference in report.differences]


def newcomers(number: int, partitions: int, count: int) -> list[bytes]:
    """Leads of a partition that nobody has seen yet."""
    names = (f"1newcomer-{name}".encode() for name in range(100))
    return [name for name in names if partition_of(name, partitions) == number][:count]


async def test_each_night_looks_at_what_came_since_the_one_before(log: ScoredLog, nights: Nights) -> None:
    first = await nights.verify()
    assert (first.equal, first.base_at_ms, first.scored) == (True, None, 4 * len(LEADS))
    quiet = await nights.verify()
    assert (quiet.equal, quiet.base_at_ms, quiet.records, quiet.leads) == (
        True, nights.now_ms - NIGHT_MS, 0, len(LEADS),
    )  # fmt: skip
    await log.act(ADA, url="https://a.example/contact")
    await log.traffic([b"1newcomer"])
    await log.tick(days=60)
    await log.work()
    busy = await nights.verify()
    assert (busy.equal, busy.trusted_at_ms) == (True, None), busy.differences
    assert (busy.accepted, busy.scored, busy.dropped) == (1 + 5 + 1, 1 + 4, {"duplicate": 1})  # one is a broken event
    assert busy.dead_letters == 2  # that one, and a record without a lead
    assert busy.records == busy.accepted + 1 + log.partitions  # and a tick in each
    assert 0 < busy.transitions < (await verify(log.brokers, log.topics, log.partitions)).transitions


async def test_a_base_is_chosen_while_no_other_run_can_remove_it(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest, chosen = Bases.newest, []

    def newest_of_mine(self: Bases, not_after_ms: int | None = None) -> Base | None:
        with pytest.raises(BaseError, match="another verification uses"), self.begin(1):
            pass
        chosen.append(newest(self, not_after_ms))
        return chosen[-1]

    monkeypatch.setattr(Bases, "newest", newest_of_mine)
    for _ in range(2):
        assert (await nights.verify()).equal
    first, second = chosen
    assert (first, second is not None) == (None, True)


async def test_a_base_that_is_taken_while_workers_die_is_as_good_as_an_exact_one(
    log: ScoredLog, nights: Nights
) -> None:
    """Some rows ahead of the partition's own row, outputs sent whose rows were never written: law 14 of the fold."""
    random = Random(11)
    for _ in range(8):
        await log.traffic(random.sample(LEADS, 3))
        await log.tick(days=random.choice([0, 5, 40]))
        await log.die_somewhere(random)
        assert (await nights.verify()).differences == []
        await log.resume()
        await log.work()
    report = await nights.verify()
    assert (report.differences, report.unfolded) == ([], 0)


async def test_what_was_told_before_the_base_of_rows_written_after_it_is_not_missing(
    log: ScoredLog, nights: Nights
) -> None:
    number = partition_of(ADA, log.partitions)
    offset = await log.append(ADA, b"{cut")
    await log.traffic(newcomers(number, log.partitions, 2))
    fold = log.fold_of(number)
    sent = fold.fold(await log.records(log.topics.events, number, offset))
    assert {one.kind for one in sent} == {"StageTransition", "DeadLetter"}
    await log.send(sent)
    assert (await nights.verify()).equal  # the worker is alive, and has not written the rows yet
    await log.checkpoint(number, (await log.records(log.topics.events, number))[-1].offset + 1)
    report = await nights.verify()
    assert (report.differences, report.missing, report.lost) == ([], 0, 0)
    assert report.transitions > 0
    assert report.dead_letters == sum(one.kind == "DeadLetter" for one in sent)


async def test_a_row_that_changed_without_a_record_is_found(log: ScoredLog, nights: Nights) -> None:
    assert (await nights.verify()).equal
    await log.change_row(ADA, visits=99)
    assert whats(await nights.verify()) == [("lead 1visitor-0", "visits")]
    await log.act(ADA, url="https://a.example/contact")
    await log.resume()
    await log.work()
    assert ("lead 1visitor-0", "visits") in whats(await nights.verify())  # every night, until it is mended


async def test_after_a_difference_the_base_stays_where_it_was(log: ScoredLog, nights: Nights) -> None:
    assert (await nights.verify()).equal
    before = nights.newest
    await log.change_row(ADA, visits=99)
    assert not (await nights.verify()).equal
    assert nights.newest == before


async def test_a_missing_row_and_a_row_of_nobody_are_found(log: ScoredLog, nights: Nights) -> None:
    assert (await nights.verify()).equal
    row = (await log.rows_of(ADA))[-1]
    await log.write_row(partition_of(ADA, log.partitions), ADA, None)
    await log.write_row(partition_of(b"1nobody", log.partitions), b"1nobody", row)
    assert sorted(whats(await nights.verify())) == [("lead 1nobody", "row"), ("lead 1visitor-0", "row")]


async def test_a_transition_that_was_not_sent_and_one_too_many_are_found(log: ScoredLog, nights: Nights) -> None:
    assert (await nights.verify()).equal
    number = partition_of(ADA, log.partitions)
    first = len(await log.records(log.topics.events, number))
    [newcomer] = newcomers(number, log.partitions, 1)
    await log.traffic([newcomer])
    fold = log.fold_of(number)
    batch = await log.records(log.topics.events, number, first)
    withheld, *others = [one for one in fold.fold(batch) if one.kind == "StageTransition"]
    invented = decode(withheld.value or b"")[1] | {"id": "f" * 32}
    await log.send([*others, Sent("StageTransition", newcomer, encode("StageTransition", invented))], number)
    await log.checkpoint(number, batch[-1].offset + 1)
    report = await nights.verify()
    assert (report.missing, report.extra) == (1, 1)
    assert decode(withheld.value or b"")[1]["id"] in report.differences[0].where


async def test_a_dead_letter_that_is_missing_since_the_base_is_found(log: ScoredLog, nights: Nights) -> None:
    assert (await nights.verify()).equal
    number = partition_of(ADA, log.partitions)
    offset = await log.append(ADA, b"{cut")
    log.fold_of(number).fold(await log.records(log.topics.events, number, offset))
    await log.checkpoint(number, offset + 1)
    report = await nights.verify()
    assert (whats(report), report.lost) == ([(f"dead letter {log.topics.events}/{number}/{offset}", "record")], 1)


async def test_a_changelog_that_went_back_behind_the_base_is_found(log: ScoredLog, nights: Nights) -> None:
    await log.tick()
    with nights.bases.begin(nights.now_ms) as save:
        for number in range(log.partitions):
            fold = PartitionFold(log.topics.events, number, log.partitions)
            live, _ = await read_live_rows(log.brokers, fold, TopicPartition(log.topics.rows, number), None)
            lost = log.fold_of(number)
            stood_at = live.bounds.folded_to
            lost.fold(await log.records(log.topics.events, number, stood_at))
            lost.take_checkpoint(stood_at + 1)  # was written, was in the base, and is no more in the changelog
            save.add(number, replace(live, bounds=Bounds(stood_at + 1, 1), meta=live.meta | lost.own_row()), 0)
        save.keep(trusted_at_ms=None)
    report = await nights.verify()
    assert whats(report) == [(f"{log.topics.rows}/{number}", "partition's own row") for number in range(log.partitions)]
    assert "the base knew it" in report.differences[0].replayed


async def test_one_lead_is_verified_from_a_base_and_leaves_none(log: ScoredLog, nights: Nights) -> None:
    assert (await nights.verify()).equal
    await log.act(ADA, url="https://a.example/contact")
    await log.work()
    await log.change_row(BEN, visits=99)
    alone = await verify(log.brokers, log.topics, log.partitions, leads=[ADA], base=nights.newest)
    assert (alone.equal, alone.leads, alone.accepted, alone.partitions) == (True, 1, 1, 1)
    other = await verify(log.brokers, log.topics, log.partitions, leads=[BEN], base=nights.newest)
    assert whats(other) == [("lead 1visitor-1", "visits")]


async def test_since_takes_the_newest_base_that_is_old_enough(log: ScoredLog, nights: Nights) -> None:
    for _ in range(3):
        await log.act(ADA, url="https://a.example/contact")
        await log.work()
        assert (await nights.verify()).equal
    monday, tuesday = nights.now_ms - 2 * NIGHT_MS, nights.now_ms - NIGHT_MS
    report = await nights.verify(tuesday + 1)
    assert (report.base_at_ms, report.accepted) == (tuesday, 1)
    assert (await nights.verify(monday)).accepted == 2
    assert (await nights.verify(monday - 1)).base_at_ms is None


async def test_a_base_of_another_log_under_the_same_name_is_refused(log: ScoredLog, nights: Nights) -> None:
    assert (await nights.verify()).equal
    later = replace(nights.newest, folded_to={0: 10_000, 1: 10_000})
    with pytest.raises(CannotVerifyError, match="base of another log"):
        await verify(log.brokers, log.topics, log.partitions, base=later)


@pytest.fixture
def cuttable(broker: Broker) -> None:
    if broker.kind == "embedded":
        pytest.skip("NOT TESTED ON THE EMBEDDED BROKER: it hangs up when asked to delete records")


async def cut(log: ScoredLog, before_offset: int) -> None:
    """As retention does."""
    deleted = {
        TopicPartition(log.topics.events, number): RecordsToDelete(before_offset=before_offset)
        for number in range(log.partitions)
    }
    async with admin_client(log.brokers) as admin:
        await admin.delete_records(deleted)


@pytest.mark.usefixtures("cuttable")
async def test_with_a_base_the_log_may_lose_what_is_before_it(log: ScoredLog, nights: Nights) -> None:
    assert (await nights.verify()).equal
    await cut(log, min(nights.newest.folded_to.values()))
    await log.act(ADA, url="https://a.example/contact")
    await log.work()
    report = await nights.verify()
    assert (report.equal, report.accepted, report.trusted_at_ms) == (True, 1, None), report.differences


@pytest.mark.usefixtures("cuttable")
async def test_records_that_are_gone_behind_the_base_are_not_passed_over(log: ScoredLog, nights: Nights) -> None:
    assert (await nights.verify()).equal
    before = nights.newest
    await log.traffic(LEADS)
    await log.work()
    await cut(log, max(before.folded_to.values()) + 1)
    with pytest.raises(LogCutError, match=f"records behind .*{before.path.name}"):
        await nights.verify()
    assert nights.newest == before


@pytest.mark.usefixtures("cuttable")
async def test_without_a_base_and_a_beginning_a_first_base_is_taken_on_trust_and_said_so(
    log: ScoredLog, nights: Nights
) -> None:
    await cut(log, 2)
    with pytest.raises(NothingToFoldFromError, match="on trust"):
        await nights.verify()
    trusted_at_ms = nights.now_ms
    await log.act(ADA, url="https://a.example/contact")
    await log.work()
    for _ in range(2):
        report = await nights.verify()
        assert (report.equal, report.trusted_at_ms) == (True, trusted_at_ms), report.differences
    await log.change_row(BEN, visits=99)
    assert whats(await nights.verify()) == [("lead 1visitor-1", "visits")]


@pytest.mark.usefixtures("cuttable")
@pytest.mark.parametrize("key", [b"1nobody", PART_KEY])
async def test_rows_that_cannot_be_read_are_not_taken_on_trust(log: ScoredLog, nights: Nights, key: bytes) -> None:
    await cut(log, 2)
    await log.write_row(0, key, b"\x09garbage")
    with pytest.raises(DamagedRowsError, match=rf"begins at offset 2.* on trust: .*/0 offset .*{key.decode()}"):
        await nights.verify()
    assert nights.bases.newest() is None


async def test_a_first_base_on_trust_knows_no_less_of_the_transitions_than_another(
    log: ScoredLog, nights: Nights
) -> None:
    """A worker has sent transitions of records that no row knows yet."""
    number = partition_of(ADA, log.partitions)
    first = (await log.records(log.topics.events, number))[-1].offset + 1
    await log.traffic(newcomers(number, log.partitions, 2))
    fold = log.fold_of(number)
    sent = fold.fold(await log.records(log.topics.events, number, first))
    assert "StageTransition" in {one.kind for one in sent}
    await log.send(sent, number)
    with nights.bases.begin(nights.now_ms) as save:
        await take_base(log.brokers, log.topics, log.partitions, save)
        save.keep(trusted_at_ms=nights.now_ms)
    await log.checkpoint(number, (await log.records(log.topics.events, number))[-1].offset + 1)
    report = await nights.verify()
    assert (report.differences, report.missing) == ([], 0)
    assert report.transitions > 0


async def test_after_an_accepted_loss_nothing_is_folded_from_before_it(log: ScoredLog, nights: Nights) -> None:
    assert (await nights.verify()).equal
    await log.append(CONTROL_KEY, encode("Epoch", {"epoch": 2}), partition_of(ADA, log.partitions))
    await log.act(ADA, url="https://a.example/contact")
    await log.work()
    with pytest.raises(CannotVerifyError, match="in epoch 1: it is the base of another log"):
        await nights.verify()
    with pytest.raises(LogCutError, match="is in epoch 2: it has lost records"):
        await verify(log.brokers, log.topics, log.partitions)
    nights.newest.path.unlink()
    with pytest.raises(NothingToFoldFromError, match="on trust"):
        await nights.verify()
    await log.act(ADA, url="https://a.example/contact")
    await log.work()
    report = await nights.verify()
    assert (report.equal, report.accepted) == (True, 1), report.differences
