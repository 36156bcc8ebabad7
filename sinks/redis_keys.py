"""The name of every Redis key. One prefix, so that a shared Redis can be emptied of leadstream alone.

| key | type | holds |
|---|---|---|
| `leadstream:positions` | hash | per `topic/partition` the next offset of the read model; gone or older: Redis lost something |
| `leadstream:lead:<lead key>` | hash | one lead: version, position, Avro bytes of its snapshot, the indexes it is in |
| `leadstream:leads`, `leadstream:stage:<stage>` | sorted set | lead keys by rank |
| `leadstream:by:<trait>:<value>` | sorted set | lead keys with this e-mail, user id, ..., by the time of the snapshot |
| `leadstream:transitions:<lead key>` | sorted set | the last transitions of a lead, in log order |
| `leadstream:feed` | stream | the latest transitions of all leads |
| `leadstream:model` | hash | the active model |
| `leadstream:alert:<transition id>` | hash | per channel what was decided and whether it was sent |
| `leadstream:quiet:<route>:<lead key>` | string | record time (ms) of the last alert of this route about this lead |
| `leadstream:budget:<channel>:<window>` | string | alerts given to the channel in this window of record time |
| `leadstream:digests` | sorted set | digests that wait, by the record time (ms) at which they are due |
| `leadstream:digest:<channel>:<window>` | sorted set | what a waiting digest will list, by score |
"""

PREFIX = "leadstream:"
POSITIONS = f"{PREFIX}positions"
LEADS = f"{PREFIX}leads"
FEED = f"{PREFIX}feed"
MODEL = f"{PREFIX}model"
DIGESTS = f"{PREFIX}digests"


def position(topic: str, partition: int) -> str:
    """The field of `POSITIONS`."""
    return f"{topic}/{partition}"


def lead(key: str) -> str:
    return f"{PREFIX}lead:{key}"


def stage(name: str) -> str:
    return f"{PREFIX}stage:{name}"


def by_trait(trait: str, value: str) -> str:
    return f"{PREFIX}by:{trait}:{value}"


def transitions(key: str) -> str:
    return f"{PREFIX}transitions:{key}"


def alert(transition_id: str) -> str:
    return f"{PREFIX}alert:{transition_id}"


def quiet(route: str, key: str) -> str:
    return f"{PREFIX}quiet:{route}:{key}"


def budget(channel: str, window: int) -> str:
    return f"{PREFIX}budget:{channel}:{window}"


def digest(channel: str, window: int) -> str:
    return f"{PREFIX}digest:{channel}:{window}"
