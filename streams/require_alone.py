"""Whether others do the work of `up` on a broker of one's own: they would share the records with it."""

import asyncio
from collections.abc import Callable, Collection

from aiokafka.admin import AIOKafkaAdminClient

from streams.embedded.broker import CLUSTER_ID
from streams.kafka.brokers import Brokers
from streams.kafka.groups import members_of
from streams.kafka.provision import admin_client
from streams.kafka.topics import Topics

_LEAVE_SECONDS = 15.0  # a sink that was killed stays in its group for 10 s
_POLL_SECONDS = 0.5


class NotAloneError(RuntimeError):
    """Other processes do the work of `up` on this broker: each would get a part of the records.

    Attributes:
        what: who.
        fix: what to do.
    """

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(f"{what}; {fix}")
        self.what = what
        self.fix = fix


async def require_alone(
    brokers: Brokers, topics: Topics, sinks: Collection[str], instance_id: str, on_wait: Callable[[str], None]
) -> None:
    """Wait for what an `up` that was killed has left in the groups, and refuse to join others.

    The groups of `sinks` must be empty. `instance_id` is that of our worker: one that was stopped or killed stays in its
    group for a while, and is replaced. `on_wait` is told once, if there is something to wait for.

    Raises:
        NotAloneError: others are there, or the broker is the embedded one of another `up`.
        KafkaError, OSError: the broker is away.
    """
    groups = {topics.worker_group: f"{instance_id}-"}
    groups |= dict.fromkeys((topics.sink_group(name) for name in sinks), "")
    async with admin_client(brokers) as admin:
        if (await admin.describe_cluster())["cluster_id"] == CLUSTER_ID:
            raise NotAloneError(
                f"the broker at {brokers.servers} is the embedded one of another `up`", "name a broker of your own"
            )
        found = await _others(admin, groups)
        if found:
            on_wait(f"{found}; waiting {_LEAVE_SECONDS:g} s for what a killed process may have left")
        deadline = asyncio.get_running_loop().time() + _LEAVE_SECONDS
        while found and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(_POLL_SECONDS)
            found = await _others(admin, groups)
    if found:
        raise NotAloneError(
            f"{found} on the broker at {brokers.servers}, and would share the records with this one",
            "end them, or set kafka.topic_prefix (LEADSTREAM_KAFKA_TOPIC_PREFIX) for topics and groups of your own",
        )


async def _others(admin: AIOKafkaAdminClient, groups: dict[str, str]) -> str:
    """`group leadstream has a member at 10.0.0.3`; empty: nobody but ours."""
    for group, ours in groups.items():
        others = [each for each in await members_of(admin, group) if not (ours and each.id.startswith(ours))]
        if others:
            return f"group {group} has a member at {', '.join(sorted({each.host for each in others}))}"
    return ""
