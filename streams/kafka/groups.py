"""Consumer groups as the broker sees them: who is in one, and how far it has come. Joins none."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

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
_Answer = TypeVar("_Answer")
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

    async def ask() -> tuple[Member, ...]:
        (response,) = await admin.describe_consumer_groups([group])
        (described,) = response.to_object()["groups"]
        if described["error_code"]:
            raise for_code(described["error_code"])(group)
        return tuple(_member(each) for each in described["members"])

    return await _answer(ask)


def _member(described: Mapping[str, Any]) -> Member:
    return Member(described["member_id"], described["client_host"].lstrip("/"))


async def committed_of(
    admin: AIOKafkaAdminClient, group: str, partitions: Collection[TopicPartition]
) -> dict[TopicPartition, int]:
    """The next offset that the group reads, of those partitions where it has committed one.

    Raises:
        As `members_of`.
    """
    found = await _answer(lambda: admin.list_consumer_group_offsets(group, partitions=list(partitions)))
    return {tp: said.offset for tp, said in found.items() if said.offset >= 0}


async def _answer(ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
    async with asyncio.timeout(_COORDINATOR_SECONDS):
        while True:
            with suppress(*_COMES_LATER):
                return await ask()
            await asyncio.sleep(_POLL_SECONDS)
