"""The verdict of a run. It shares no code with the product but the codecs: what must hold is worked out here, by counting.

With the model of the chaos a view is a point that never fades, so a lead's score is the number of different ids among its
views in the log, and it moves up at its 5th, 20th and 60th.
"""

import asyncio
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from redis.asyncio import Redis

from schemas.codec import UndecodableError, decode
from tests.chaos.site import Site
from tests.e2e.deployment import PARTITIONS

ENTERED_AT = {5: "reader", 20: "fan", 60: "friend"}
Move = tuple[str, int, int, str]  # lead key, partition, offset, stage


@dataclass
class Verdict:
    """`less`: lost, or wrong. `more`: repeats, which only the webhook may have, with the same id and bytes."""

    less: list[str] = field(default_factory=list)
    more: Counter[str] = field(default_factory=Counter)
    numbers: dict[str, int] = field(default_factory=dict)

    @property
    def word(self) -> str:
        if self.less:
            return "LESS"
        return "MORE" if self.more else "OK"


@dataclass
class _Log:
    views: dict[str, list[str]] = field(
        default_factory=lambda: defaultdict(list)
    )  # lead key -> different ids, in order
    moves: list[Move] = field(default_factory=list)
    useless: int = 0  # records that are no events


async def verdict_of(site: Site) -> Verdict:
    topics, servers = site.parts.topics, site.kafka.bootstrap_servers
    log = _counted(await read_topic(servers, topics.events))
    verdict = Verdict(numbers={"views in the log": sum(map(len, log.views.values())), "moves": len(log.moves)})
    lost = [f"view {event} of {lead}" for lead, event in site.accepted if event not in log.views[f"1{lead}"]]
    verdict.less += [f"{each} was accepted and is not in the log" for each in sorted(lost)]
    _check_transitions(verdict, log, await read_topic(servers, topics.transitions))
    _check_scores(verdict, log, _newest_scores(await read_topic(servers, topics.scores)), "on the scores topic")
    _check_scores(verdict, log, await _redis_scores(site, log), "in Redis")
    _check_letters(verdict, log, await read_topic(servers, topics.dead_letters))
    _check_webhook(verdict, site, log)
    return verdict


def _counted(records: list[ConsumerRecord]) -> _Log:
    log = _Log()
    for record in records:
        try:
            kind, value = decode(record.value or b"")
        except UndecodableError:
            log.useless += 1
            continue
        if kind != "TrackedEvent" or record.key is None:
            continue
        lead, event_id = record.key.decode(), value["event_id"]
        if event_id in log.views[lead]:
            continue
        log.views[lead].append(event_id)
        if (stage := ENTERED_AT.get(len(log.views[lead]))) is not None:
            log.moves.append((lead, record.partition, record.offset, stage))
    return log


def _check_transitions(verdict: Verdict, log: _Log, records: list[ConsumerRecord]) -> None:
    bytes_of: dict[str, bytes] = {}
    found: dict[Move, list[int]] = defaultdict(list)
    for record in records:
        value: Any = decode(record.value or b"")[1]
        if bytes_of.setdefault(value["id"], record.value or b"") != record.value:
            verdict.less.append(f"transition {value['id']} has different bytes")
        found[value["lead_key"], record.partition, value["offset"], value["to_stage"]].append(value["seq"])
    for missing in set(log.moves) - found.keys():
        verdict.less.append(f"no transition {missing}")
    for invented in found.keys() - set(log.moves):
        verdict.less.append(f"a transition that the log does not give: {invented}")
    by_lead: dict[str, set[int]] = defaultdict(set)
    for (lead, _, _, _), numbers in found.items():
        by_lead[lead] |= set(numbers)
    verdict.less += [
        f"{lead}: numbers {seqs}" for lead, seqs in by_lead.items() if seqs != set(range(1, len(seqs) + 1))
    ]
    verdict.numbers["transitions sent again"] = len(records) - len(bytes_of)


def _newest_scores(records: list[ConsumerRecord]) -> dict[str, int]:
    newest: dict[str, tuple[tuple[int, int], int]] = {}
    for record in records:
        kind, value = decode(record.value or b"")
        if kind == "LeadSnapshot":
            entry = ((value["epoch"], value["offset"]), _views(value))
            newest[value["lead_key"]] = max(newest.get(value["lead_key"], entry), entry)
    return {lead: views for lead, (_, views) in newest.items()}


async def _redis_scores(site: Site, log: _Log) -> dict[str, int]:
    redis: Any = Redis.from_url(site.store.url)
    try:
        bodies = {lead: await redis.hget(f"leadstream:lead:{lead}", "body") for lead in log.views}
    finally:
        await redis.aclose()
    return {lead: _views(decode(body)[1]) for lead, body in bodies.items() if body is not None}


def _views(snapshot: dict[str, Any]) -> int:
    return sum(units["count"] for units in snapshot["units"] if units["rule"] == "view")


def _check_scores(verdict: Verdict, log: _Log, scores: dict[str, int], where: str) -> None:
    for lead, views in log.views.items():
        if scores.get(lead, 0) != len(views):
            verdict.less.append(f"{lead} has {scores.get(lead, 0)} points {where}; its log has {len(views)} views")


def _check_letters(verdict: Verdict, log: _Log, records: list[ConsumerRecord]) -> None:
    letters = {decode(record.value or b"")[1]["id"] for record in records}
    if len(letters) < log.useless:
        verdict.less.append(f"{log.useless} records are no events, but there are {len(letters)} dead letters")
    verdict.numbers["dead letters"] = len(letters)


def _check_webhook(verdict: Verdict, site: Site, log: _Log) -> None:
    first: dict[str, bytes] = {}
    last_of: dict[str, tuple[int, int, int]] = {}
    for each in site.world.deliveries:
        if each.id in first:
            verdict.more["webhook"] += 1
            if first[each.id] != each.body:
                verdict.less.append(f"webhook {each.id} came with different bytes")
            continue
        first[each.id] = each.body
        place = (each.epoch, each.offset, each.index)
        if place < last_of.get(each.lead, place):
            verdict.less.append(f"webhook: {each.lead} went back from {last_of[each.lead]} to {place}")
        last_of[each.lead] = place
    if len(first) != len(log.moves):
        verdict.less.append(f"the webhook got {len(first)} different transitions of {len(log.moves)}")
    verdict.numbers["webhook deliveries"] = len(site.world.deliveries)


async def read_topic(servers: str, topic: str) -> list[ConsumerRecord]:
    """The whole topic, partition by partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        tps = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        consumer.assign(tps)
        await asyncio.sleep(0)  # aiokafka's `stop` fails if it comes before its task has begun
        ends = await consumer.end_offsets(tps)
        records: list[ConsumerRecord] = []
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                records += batch
        return sorted(records, key=lambda record: (record.partition, record.offset))
    finally:
        await consumer.stop()
