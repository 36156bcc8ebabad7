"""Records of a changelog that cannot be read, as one rule has it for recovery and for all who look at the rows."""

from collections.abc import Callable
from typing import NamedTuple

from schemas.records import LogRecord


class Damage(NamedTuple):
    """`offset` of the record in the changelog."""

    offset: int
    why: str


class Unreadable(dict[bytes, Damage]):
    """Key -> its newest record, which cannot be read. A later one of the key that can be, or its deletion, stands in. A
    record without a key counts as one of the empty key, which no lead has.
    """

    def take(
        self,
        record: LogRecord,
        restore: Callable[[bytes, bytes | None], None],
        errors: type[Exception] | tuple[type[Exception], ...],
    ) -> bool:
        """Restore a record, in log order; False: it cannot be read, which `restore` says by one of `errors`."""
        if record.key is None:
            self[b""] = Damage(record.offset, "a row without a key")
            return False
        try:
            restore(record.key, record.value)
        except errors as error:
            self[record.key] = Damage(record.offset, str(error))
            return False
        self.pop(record.key, None)
        return True
