"""What is done to the topics: a wrong policy, records that are none. The cure is the one of docs/runbook.md."""

import random
import signal

from aiokafka import AIOKafkaProducer
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from schemas.codec import PREFIXES
from schemas.keys import partition_of
from streams.kafka.brokers import Brokers
from streams.kafka.provision import admin_client
from streams.kafka.topics import Topic
from tests.chaos.evidence import read_topic
from tests.chaos.faults_of_workers import all_workers_killed
from tests.chaos.site import Ending, Site
from tests.e2e.deployment import PARTITIONS

REFUSED, STOPPED = 4, 70
NOTICED_SECONDS = 20  # a worker writes its rows every second; it ends, and starts again
PATIENCE_SECONDS = 40


async def garbage_in_the_log(site: Site, random_: random.Random) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=site.kafka.bootstrap_servers)
    await producer.start()
    try:
        for value in (b"", b"{broken", b"\xc3\x01unknown!", PREFIXES["TrackedEvent"] + b"\x04ab", None):
            key = random_.choice([b"1visitor-1", b"9nobody", None]) if value is not None else b"1visitor-1"
            await producer.send_and_wait(site.parts.topics.events, value, key=key, partition=random_.randrange(4))
    finally:
        await producer.stop()


async def topic_changed(site: Site, random_: random.Random) -> None:
    """A part that starts on it refuses, and says what to do; those that run go on."""
    topics = site.parts.topics
    name, setting, wrong = random_.choice(
        [
            (topics.rows, "cleanup.policy", "delete"),
            (topics.events, "message.timestamp.type", "CreateTime"),
            (topics.transitions, "unclean.leader.election.enable", "true"),
        ]
    )
    [topic] = [each for each in topics.table if each.name == name]
    await _set(site, topic, {setting: wrong})
    try:
        part = random_.choice(sorted(site.wanted))
        site.say(f"  {setting}={wrong} of {name}, {part} starts")
        site.send(part, signal.SIGTERM)
        wanted = (f"{setting} is {wrong}", "leadstream topics check")

        def refuses(which: str, ending: Ending) -> bool:
            return which == part and ending.code == REFUSED and all(words in ending.said for words in wanted)

        if not await site.ending(refuses, PATIENCE_SECONDS):
            site.complaints.add(f"{part} did not refuse to start although {setting} of {name} is {wrong}")
    finally:
        await _set(site, topic, {})


async def garbage_in_the_rows(site: Site, random_: random.Random) -> None:
    """Workers end and name key and offset, until `leadstream rows mend` is said; unless a later row of the lead stands in."""
    leads = sorted({lead for lead, _ in site.accepted})
    lead = random_.choice([*random_.sample(leads, min(1, len(leads))), f"nobody-{random_.randrange(1000)}"])
    key = f"1{lead}".encode()
    number = partition_of(key, PARTITIONS)
    producer = AIOKafkaProducer(bootstrap_servers=site.kafka.bootstrap_servers)
    await producer.start()
    try:
        rows = site.parts.topics.rows
        offset = (await producer.send_and_wait(rows, b"\x09garbage", key=key, partition=number)).offset
    finally:
        await producer.stop()
    site.damaged.add(f"{rows}/{number} offset {offset} key {key!r}")
    named = f"{rows}[{number}] offset {offset} key {key!r} cannot be read"

    def names_it(_: str, ending: Ending) -> bool:
        return ending.code == STOPPED and named in ending.said

    if not await site.ending(names_it, NOTICED_SECONDS):
        if await _has_a_later_row(site, rows, key, offset):
            site.say("  a later row of the lead stands in for it: the worker had sent it before it noticed")
            return
        await all_workers_killed(site, random_)  # nothing was written, so nobody noticed it; a start does
        if not await site.ending(names_it, PATIENCE_SECONDS):
            site.complaints.add(f"no worker ended with: {named}")
    code, out, err = await site.parts.leadstream("rows", "mend")
    if code != 0 or f"partition {number} offset {offset} key {key.decode()}" not in out:
        site.complaints.add(f"leadstream rows mend ended with {code}: {out}{err[-300:]}")
    site.say(f"  {out.strip()[-200:]}")


async def _has_a_later_row(site: Site, rows: str, key: bytes, offset: int) -> bool:
    """Of a key, which is always in the same partition."""
    found = await read_topic(site.kafka.bootstrap_servers, rows)
    return any(each.key == key and each.offset > offset for each in found)


async def _set(site: Site, topic: Topic, changed: dict[str, str]) -> None:
    resource = ConfigResource(ConfigResourceType.TOPIC, topic.name, {**topic.settings, **changed})
    async with admin_client(Brokers(site.kafka.bootstrap_servers)) as admin:
        await admin.alter_configs([resource])
