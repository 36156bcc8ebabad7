"""Consumer groups as the broker sees them: who is in one, and how far it has come. Joins none."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    NotCoordinatorForGroupError,
    for_code,
)

_COORDINATOR_SECONDS = 10.0  # a broker that never had a group makes its topic for them first
_POLL_SECONDS = 0.2
_COMES_LATER = (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError)


@dataclass(frozen=True, slots=True)
class Member:
    """`id`: the broker's; it begins with the static id of a member that has one. `host`: its address."""

    id: str
    host: str


async def members_of(admin: AIOKafkaAdminClient, group: str) -> tuple[Member, ...]:
    """Who is in the group now; nobody if there is no such group. Not for the embedded broker, which does not tell.

    Raises:
        KafkaError: the broker does not say.
        TimeoutError: it has no coordinator for the group.
    """
    async with asyncio.timeout(_COORDINATOR_SECONDS):
        while True:
            try:
                (response,) = await admin.describe_consumer_groups([group])
                (described,) = response.to_object()["groups"]
                if described["error_code"]:
                    raise for_code(described["error_code"])(group)  # some of them are waited for below
            except _COMES_LATER:
                await asyncio.sleep(_POLL_SECONDS)
            else:
                return tuple(_member(each) for each in described["members"])


def _member(described: Mapping[str, Any]) -> Member:
    return Member(described["member_id"], described["client_host"].lstrip("/"))


async def committed_of(
    admin: AIOKafkaAdminClient, group: str, partitions: Collection[TopicPartition]
) -> dict[TopicPartition, int]:
    """The next offset that the group reads, of those partitions where it has committed one.

    Raises:
        As `members_of`.
    """
    async with asyncio.timeout(_COORDINATOR_SECONDS):
        while True:
            try:
                found = await admin.list_consumer_group_offsets(group, partitions=list(partitions))
            except _COMES_LATER:
                await asyncio.sleep(_POLL_SECONDS)
            else:
                return {tp: said.offset for tp, said in found.items() if said.offset >= 0}
