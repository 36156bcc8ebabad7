"""The log of an HTTP server, without what its clients wrote.

aiohttp logs a head that is no HTTP as an error, with the address of the client and the line that is wrong: anybody could
fill the log, and a key that stands in a broken line would come into it.
"""

import logging
from typing import Final

from aiohttp.http import HttpProcessingError


def _is_ours(record: logging.LogRecord) -> bool:
    """Is it a failure of ours? Then the address of the client is taken out."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):
        return False
    if record.args:
        record.msg, record.args = "a request failed", ()
    return True


server_log: Final = logging.getLogger(__name__)
server_log.addFilter(_is_ours)
