from collections.abc import AsyncIterator
from dataclasses import dataclass
from random import Random
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import RecordsToDelete

from processors.outbox import Sent
from schemas.codec import decode, encode
from schemas.keys import partition_of
from schemas.rows import pack_row, read_header, unpack_row
from streams.kafka.log_reader import log_end
from streams.kafka.provision import admin_client
from streams.kafka.topics import DEAD_LETTERS_MS, Topics
from streams.verification.compare_outputs import expired_up_to_ms
from streams.verification.report import VerifyReport
from streams.verification.verify import CannotVerifyError, verify
from tests.brokers import Broker
from tests.streams.scored_log import SITE, ScoredLog

LEADS = [f"1visitor-{number}".encode() for number in range(6)]
ADA = LEADS[0]


@pytest_asyncio.fixture
async def log(broker: Broker, prefix: str) -> AsyncIterator[ScoredLog]:
    """Folded to its end."""
    async with ScoredLog.start(broker, Topics(prefix=prefix)) as log:
        await log.traffic(LEADS)
        await log.tick(days=20)
        await log.act(ADA, url="https://a.example/pricing")
        await log.work()
        yield log


async def report_of(log: ScoredLog, **options: Any) -> VerifyReport:
    return await verify(log.brokers, log.topics, log.partitions, **options)


def whats(report: VerifyReport) -> list[tuple[str, str]]:
    return [(difference.where, difference.what) for difference in report.differences]


async def transitions_of(log: ScoredLog, key: bytes) -> list[dict[str, Any]]:
    records = await log.records(log.topics.transitions, partition_of(key, log.partitions))
    return [decode(record.value)[1] for record in records if record.key == key]


async def test_what_a_worker_wrote_is_what_the_log_says(log: ScoredLog) -> None:
    seen: list[tuple[int, int]] = []
    report = await report_of(log, on_progress=lambda done, total: seen.append((done, total)))
    assert report.differences == []
    assert report.equal
    assert report.partitions == 2
    assert report.leads == len(LEADS)
    assert report.transitions >= len(LEADS)
    assert (report.missing, report.extra, report.lost, report.counted_twice, report.unfolded) == (0, 0, 0, 0, 0)
    # 5 acts a lead of which one is a repeat, one more of Ada, one broken JSON event
    assert report.accepted == 5 * len(LEADS) + 2
    assert report.scored == 4 * len(LEADS) + 1
    assert report.dropped == {"duplicate": len(LEADS)}
    assert report.dead_letters == 2
    assert seen[-1] == (report.records, report.records)


async def test_a_running_worker_may_be_anywhere(log: ScoredLog) -> None:
    """Some rows are ahead of the partition's own row; behind both, the log goes on."""
    number = partition_of(ADA, log.partitions)
    names = (f"1neighbour-{number}".encode() for number in range(100))
    first, second = [name for name in names if partition_of(name, log.partitions) == number][:2]
    await log.traffic([first, second])
    await log.work()
    assert log.fold_of(number).next_offset is not None
    offset = await log.act(ADA, event="download", url="https://a.example/files/other.pdf")
    await log.tick(days=80)  # moves all three
    await log.act(ADA, url="https://a.example/contact")
    await log.act(first, url="https://a.example/contact")
    await log.tick(days=80)
    fold = log.fold_of(number)
    batch = await log.records(log.topics.events, number, offset)
    await log.send(fold.fold(batch[:1]))
    rows = dict(fold.take_checkpoint(offset + 1))
    await log.write_row(number, ADA, rows[ADA])  # killed before the partition's own row
    await log.send(fold.fold(batch[1:4]))
    rows = dict(fold.take_checkpoint(offset + 4))
    await log.write_row(number, first, rows[first])  # the next worker too, before it came to Ada's and the second's
    report = await report_of(log)
    assert report.differences == []
    assert report.equal
    assert report.unfolded >= 3
    acts_before = 5 * (len(LEADS) + 2) + 2 + 1  # the second traffic has a broken event, too
    assert report.accepted == acts_before + 2  # Ada's first act behind the partition's own row, and the neighbour's


async def test_workers_that_die_anywhere_and_take_over_leave_nothing_to_find(log: ScoredLog) -> None:
    random = Random(7)
    for _ in range(6):
        await log.traffic(random.sample(LEADS, 3))
        await log.tick(days=random.choice([0, 5, 40]))
        await log.die_somewhere(random)
        assert (await report_of(log)).differences == []
        await log.resume()
        await log.work()
    report = await report_of(log)
    assert report.differences == []
    assert report.equal
    assert report.unfolded == 0


async def test_a_repeat_of_what_was_sent_is_no_difference(log: ScoredLog) -> None:
    for topic, kind in ((log.topics.transitions, "StageTransition"), (log.topics.dead_letters, "DeadLetter")):
        for number in range(log.partitions):
            for record in await log.records(topic, number):
                await log.send([Sent(kind, record.key, record.value)])  # type: ignore[arg-type]  # both are kinds
    assert (await report_of(log)).equal


async def test_a_changed_row_is_found_with_both_values(log: ScoredLog) -> None:
    await log.change_row(ADA, stage="hot-as-if", visits=99)
    report = await report_of(log)
    assert whats(report) == [("lead 1visitor-0", "stage"), ("lead 1visitor-0", "visits")]
    assert report.differences[1].live == "99"
    assert report.differences[1].replayed != "99"
    assert report.unequal_leads == 1
    assert (report.lost, report.counted_twice) == (0, 0)


@pytest.mark.parametrize(("factor", "equal"), [(1 + 1e-12, True), (1 + 1e-7, False)])
async def test_faded_units_may_differ_in_the_last_digits_only(log: ScoredLog, factor: float, equal: bool) -> None:
    row = unpack_row((await log.rows_of(ADA))[-1])
    rule, tally = next(iter(row.tallies.items()))
    await log.change_row(ADA, tallies={**row.tallies, rule: msgspec.structs.replace(tally, x=tally.x * factor)})
    report = await report_of(log)
    assert whats(report) == ([] if equal else [("lead 1visitor-0", f"tallies[{rule}]")])


async def test_an_act_that_a_row_does_not_know_is_lost(log: ScoredLog) -> None:
    row = unpack_row((await log.rows_of(LEADS[1]))[-1])
    forgotten = next(iter(row.window))
    await log.change_row(LEADS[1], window={key: act for key, act in row.window.items() if key != forgotten})
    report = await report_of(log)
    assert whats(report) == [("lead 1visitor-1", f"window[{forgotten.hex()}]")]
    assert (report.lost, report.counted_twice) == (1, 0)


async def test_an_act_that_a_row_counts_once_more_is_counted_twice(log: ScoredLog) -> None:
    row = unpack_row((await log.rows_of(ADA))[-1])
    tally = row.tallies["download"]
    more = msgspec.structs.replace(tally, x=2 * tally.x, count=tally.count + 1)
    await log.change_row(ADA, tallies={**row.tallies, "download": more})
    report = await report_of(log)
    assert whats(report) == [("lead 1visitor-0", "tallies[download]")]
    assert (report.lost, report.counted_twice) == (0, 1)


async def test_a_missing_row_is_found_and_its_acts_are_lost(log: ScoredLog) -> None:
    await log.write_row(partition_of(ADA, log.partitions), ADA, None)
    report = await report_of(log)
    assert whats(report) == [("lead 1visitor-0", "row")]
    assert report.differences[0].live == "missing"
    assert report.lost > 0


async def test_a_row_of_nobody_is_found(log: ScoredLog) -> None:
    row = (await log.rows_of(ADA))[-1]
    await log.write_row(partition_of(b"1nobody", log.partitions), b"1nobody", row)
    report = await report_of(log)
    assert whats(report) == [("lead 1nobody", "row")]
    assert report.differences[0].replayed == "missing"


async def test_an_older_row_written_after_the_newest_is_found(log: ScoredLog) -> None:
    older, *_, newest = await log.rows_of(ADA)
    assert read_header(older).version < read_header(newest).version
    number = partition_of(ADA, log.partitions)
    await log.write_row(number, ADA, older)
    report = await report_of(log)
    assert whats(report) == [("lead 1visitor-0", f"last record in {log.topics.rows}/{number}")]
    assert "second writer" in report.differences[0].live


async def test_only_an_older_row_is_a_difference_of_versions(log: ScoredLog) -> None:
    older = (await log.rows_of(ADA))[0]
    number = partition_of(ADA, log.partitions)
    await log.write_row(number, ADA, None)  # as compaction, or a lost write, would leave it
    await log.write_row(number, ADA, older)
    report = await report_of(log)
    assert ("lead 1visitor-0", "version") in whats(report)
    assert report.lost > 0


async def test_a_changelog_that_ends_before_what_the_group_has_committed_has_lost_writes(log: ScoredLog) -> None:
    folded_to = log.fold_of(0).next_offset or 0
    await log.tick()
    events = TopicPartition(log.topics.events, 0)
    async with AIOKafkaConsumer(
        bootstrap_servers=log.brokers.servers, group_id=log.topics.worker_group, enable_auto_commit=False
    ) as consumer:
        consumer.assign([events])
        await consumer.commit({events: folded_to})
        assert (await report_of(log)).equal
        await consumer.commit({events: folded_to + 1})
    report = await report_of(log)
    assert whats(report) == [(f"{log.topics.rows}/0", "partition's own row")]
    assert report.differences[0].live == f"at offset {folded_to}"
    assert report.differences[0].replayed == f"{folded_to + 1}: the group has committed it"


async def test_rows_that_are_ahead_of_the_log_are_named_with_both_numbers(log: ScoredLog) -> None:
    """The log was truncated, or made anew, and rows know the one before it."""
    number = partition_of(ADA, log.partitions)
    events = TopicPartition(log.topics.events, number)
    end = (await log_end(log.brokers, [events]))[events]
    data = (await log.rows_of(ADA))[-1]
    header = read_header(data)
    row = pack_row((header.version[0], end + 5), header.wake_at, header.model_stamp, unpack_row(data))
    await log.write_row(number, ADA, row)
    report = await report_of(log)
    assert ("lead 1visitor-0", "newest record that its row knows") in whats(report)
    assert f"is at offset {end + 5}, the log gives {end}: it ends there" in str(report.differences[0])
    for key, value in log.fold_of(number).take_checkpoint(end + 9):
        await log.write_row(number, key, value)
    report = await report_of(log)
    assert whats(report)[0] == (f"{log.topics.rows}/{number}", "partition's own row")
    assert report.differences[0].live == f"at offset {end + 9}"
    assert report.unfolded == 0


async def test_an_unreadable_row_is_named_with_its_offset(log: ScoredLog) -> None:
    await log.write_row(0, b"1x", b"\x09garbage")
    report = await report_of(log)
    assert len(report.differences) == 1
    assert f"{log.topics.rows}/0 offset" in report.differences[0].where
    assert "unreadable" in report.differences[0].live


async def test_a_transition_that_was_never_sent_is_missing(broker: Broker, prefix: str) -> None:
    async with ScoredLog.start(broker, Topics(prefix=prefix)) as log:
        await log.traffic([ADA])
        send = log.send
        withheld: list[Sent] = []

        async def send_all_but_one(sent: list[Sent], number: int | None = None) -> None:
            withheld.extend([one for one in sent if one.kind == "StageTransition"][: 1 - len(withheld)])
            await send([one for one in sent if one not in withheld], number)

        log.send = send_all_but_one  # type: ignore[method-assign,assignment]  # a worker that forgets
        await log.work()
        [one] = withheld
        report = await report_of(log)
    assert (report.missing, report.extra) == (1, 0)
    assert decode(one.value or b"")[1]["id"] in report.differences[0].where
    assert report.differences[0].live == "missing"


async def test_a_transition_that_the_log_does_not_give_is_extra(log: ScoredLog) -> None:
    transition = (await transitions_of(log, ADA))[0] | {"id": "f" * 32}
    await log.send([Sent("StageTransition", ADA, encode("StageTransition", transition))])
    report = await report_of(log)
    assert (report.missing, report.extra) == (0, 1)
    assert "f" * 32 in report.differences[0].where
    assert "visitor -> interested of lead '1visitor-0'" in report.differences[0].live


async def test_other_bytes_under_a_known_id_are_found(log: ScoredLog) -> None:
    transition = (await transitions_of(log, ADA))[0]
    changed = transition | {"score": transition["score"] + 1}
    await log.send([Sent("StageTransition", ADA, encode("StageTransition", changed))])
    report = await report_of(log)
    assert report.unequal_transitions == 1
    assert f"repeat of {transition['id']}" in report.differences[0].what


async def test_a_transition_with_another_score_is_found_with_both(broker: Broker, prefix: str) -> None:
    async with ScoredLog.start(broker, Topics(prefix=prefix)) as log:
        await log.traffic([ADA])
        send = log.send

        async def send_changed(sent: list[Sent], number: int | None = None) -> None:
            await send(
                [
                    Sent(one.kind, one.key, encode("StageTransition", decode(one.value or b"")[1] | {"score": 999.0}))
                    if one.kind == "StageTransition"
                    else one
                    for one in sent
                ],
                number,
            )

        log.send = send_changed  # type: ignore[method-assign,assignment]  # a worker that lies
        await log.work()
        report = await report_of(log)
    assert report.unequal_transitions == report.transitions > 0
    assert {difference.what for difference in report.differences} == {"score"}
    assert report.differences[0].live == "999.0"


async def test_a_missing_dead_letter_is_a_lost_record(log: ScoredLog) -> None:
    key, offset = LEADS[2], await log.append(LEADS[2], b"{cut")
    number = partition_of(key, log.partitions)
    fold = log.fold_of(number)
    fold.fold(await log.records(log.topics.events, number, offset))
    await log.checkpoint(number, offset + 1)
    report = await report_of(log)
    assert whats(report) == [(f"dead letter {log.topics.events}/{number}/{offset}", "record")]
    assert (report.differences[0].live, report.lost) == ("missing", 1)


async def test_letters_that_retention_took_are_not_missing_and_newer_ones_are(log: ScoredLog, broker: Broker) -> None:
    if broker.kind == "embedded":
        pytest.skip("NOT TESTED ON THE EMBEDDED BROKER: it hangs up when asked to delete records")
    number = partition_of(ADA, log.partitions)
    await log.append(ADA, b"{cut")
    await log.work()
    letters = TopicPartition(log.topics.dead_letters, number)
    *old, newest = await log.records(letters.topic, number)
    async with admin_client(log.brokers) as admin:
        await admin.delete_records({letters: RecordsToDelete(before_offset=newest.offset)})
    report = await report_of(log)
    assert (report.equal, report.lost, report.expired_letters) == (True, 0, len(old)), report.differences
    offset = await log.append(ADA, b"{cut again")
    log.fold_of(number).fold(await log.records(log.topics.events, number, offset))
    await log.checkpoint(number, offset + 1)
    report = await report_of(log)
    assert whats(report) == [(f"dead letter {log.topics.events}/{number}/{offset}", "record")]
    assert (report.lost, report.expired_letters) == (1, len(old))
    async with admin_client(log.brokers) as admin:
        await admin.delete_records({letters: RecordsToDelete(before_offset=newest.offset + 1)})
    report = await report_of(log)
    assert (report.lost, report.expired_letters) == (len(old) + 2, 0)  # none is left, and the log says it is too early


@dataclass(frozen=True, slots=True)
class FirstLeft:
    offset: int
    timestamp: int


@pytest.mark.parametrize(
    ("first", "start", "up_to_ms"),
    [
        (FirstLeft(0, 70), 0, -1),  # nothing was taken
        (FirstLeft(5, 70), 5, 70),
        (None, 0, -1),  # nothing was ever there
        (None, 5, 9),
    ],
)
def test_letters_can_have_expired_up_to_the_first_that_is_left(
    first: FirstLeft | None, start: int, up_to_ms: int
) -> None:
    assert expired_up_to_ms(first, start, DEAD_LETTERS_MS + 9) == up_to_ms


async def test_a_dead_letter_of_a_good_record_is_found(log: ScoredLog) -> None:
    letter = decode((await log.records(log.topics.dead_letters, partition_of(ADA, log.partitions)))[0].value)[1]
    await log.send([Sent("DeadLetter", ADA, encode("DeadLetter", letter | {"id": "x/0/1", "offset": 1}))])
    report = await report_of(log)
    assert whats(report) == [("dead letter x/0/1", "record")]


async def test_a_dead_letter_of_a_good_record_is_passed_over_once_it_is_handled(log: ScoredLog) -> None:
    home = partition_of(ADA, log.partitions)
    letter = decode((await log.records(log.topics.dead_letters, home))[0].value)[1] | {"id": "x/0/1", "offset": 1}
    mark = {"id": "x/0/1", "outcome": "dropped", "at": 1, "detail": ""}
    for kind, record in (("DeadLetter", letter), ("DeadLetterHandled", mark)):
        await log.producer.send_and_wait(log.topics.dead_letters, encode(kind, record), key=b"x/0/1", partition=home)  # type: ignore[arg-type]  # both are kinds
    assert (await report_of(log)).equal


async def test_one_lead_alone_may_be_verified(log: ScoredLog) -> None:
    await log.change_row(LEADS[1], visits=99)
    assert not (await report_of(log)).equal
    alone = await report_of(log, leads=[ADA])
    assert alone.equal
    assert (alone.partitions, alone.leads) == (1, 1)
    assert alone.scored == 5
    assert whats(await report_of(log, leads=[LEADS[1]])) == [("lead 1visitor-1", "visits")]


async def test_a_second_model_and_records_before_the_first_are_folded_as_the_worker_did(
    broker: Broker, prefix: str
) -> None:
    async with ScoredLog.start(broker, Topics(prefix=prefix), model=None) as log:
        await log.traffic(LEADS[:2])
        await log.activate(SITE, 1)
        await log.traffic(LEADS[1:3])
        await log.activate(SITE.replace("points: 15", "points: 5"), 2)
        await log.traffic(LEADS[2:4])
        await log.tick(days=200)
        await log.work()
        report = await report_of(log)
    assert report.differences == []
    assert report.transitions > 0


async def test_visitors_that_were_forgotten_are_no_difference(prefix: str, broker: Broker) -> None:
    if broker.kind == "apache":
        pytest.skip("NOT TESTED ON APACHE KAFKA: its timestamps are the clock's, and nobody waits 200 days")
    async with ScoredLog.start(broker, Topics(prefix=prefix)) as log:
        for lead in LEADS:
            await log.act(lead, url="https://a.example/about")
        for _ in range(3):
            await log.tick(days=200)
            await log.work()
        assert [
            value for lead in LEADS for value in (await log.rows_of(lead))[-1:] if not read_header(value).gone
        ] == []
        await log.act(ADA, url="https://a.example/pricing")
        await log.work()
        report = await report_of(log)
    assert report.differences == []
    assert report.scored == len(LEADS) + 1


async def test_a_log_without_its_beginning_cannot_be_verified(log: ScoredLog, broker: Broker) -> None:
    if broker.kind == "embedded":
        pytest.skip("NOT TESTED ON THE EMBEDDED BROKER: it hangs up when asked to delete records")
    async with admin_client(log.brokers) as admin:
        await admin.delete_records({TopicPartition(log.topics.events, 0): RecordsToDelete(before_offset=2)})
    with pytest.raises(CannotVerifyError, match="begins at offset 2"):
        await report_of(log)
