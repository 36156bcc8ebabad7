"""Lead keys and where they live.

A key is a strength digit and an id: `1` anonymous id, `3` user id, `9` e-mail (keyed hash). Byte order is strength
order. The even digits, `5` and `7` are reserved; keys that begin with `0` are the worker's own.
"""

import hmac
from hashlib import blake2b

ANONYMOUS, USER, EMAIL = "1", "3", "9"
CONTROL_KEY = b"ctl"
REFUSED_IDS = frozenset(
    {"", "null", "none", "nil", "undefined", "nan", "anonymous", "guest", "unknown", "true", "false"}
)
MAX_ID_CHARACTERS = 256


def usable_id(text: str | None) -> bool:
    """False for ids that many visitors share by accident: `null`, `-1`, `0000-0000`, ..."""
    if text is None or len(text) > MAX_ID_CHARACTERS:
        return False
    plain = text.strip().casefold()
    return plain not in REFUSED_IDS and plain != "-1" and plain.strip("0-") != ""


def lead_key(anonymous_id: str | None, user_id: str | None, email: str | None, secret: bytes) -> bytes | None:
    """The key of an act by the ids it carries, or None where it has no usable one.

    Until identities are linked, the anonymous id comes first: one browser, one row.
    """
    if anonymous_id is not None and usable_id(anonymous_id):
        return (ANONYMOUS + anonymous_id.strip()).encode()
    if user_id is not None and usable_id(user_id):
        return (USER + user_id.strip()).encode()
    if email is not None and "@" in email:
        digest = hmac.new(secret, email.strip().casefold().encode(), "sha256").hexdigest()
        return (EMAIL + digest[:32]).encode()
    return None


def is_lead_key(key: bytes | None) -> bool:
    return key is not None and len(key) > 1 and key[:1] in b"13579" and len(key) <= 4 * MAX_ID_CHARACTERS + 1


def id8(text: str) -> bytes:
    """The 8 bytes that stand for an event id in a row."""
    return blake2b(text.encode(), digest_size=8).digest()


def partition_of(key: bytes, partitions: int) -> int:
    """Kafka's default partitioner: positive murmur2 modulo the partition count."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """32-bit murmur2 with Kafka's seed, as in org.apache.kafka.common.utils.Utils.murmur2."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = 0x9747B28C ^ len(data)
    whole = len(data) & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * m & mask
        k = (k ^ (k >> 24)) * m & mask
        h = (h * m & mask) ^ k
    rest = data[whole:]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * m & mask
    h = (h ^ (h >> 13)) * m & mask
    return h ^ (h >> 15)
