"""Files that are being made, one at a time in a directory: the lock of one run keeps the others out."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SUFFIX = ".draft"


@contextmanager
def draft_of(path: Path, names: str) -> Iterator[Path]:
    """An empty file beside `path` that its owner alone can read. Unless it was moved away, it is gone at the end.

    The directory, which is made if it is missing, belongs to this run until then. What a killed one left is removed first:
    drafts of files whose names, without the suffix, match `names`.

    Raises:
        BlockingIOError: another run has the directory.
        OSError: the disk does not take it.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(_SUFFIX)
    directory = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for left in path.parent.glob(f"{names}{_SUFFIX}*"):  # a journal, too, which an older build had beside it
            left.unlink()
        draft.touch(mode=0o600, exist_ok=False)
        try:
            yield draft
        finally:
            draft.unlink(missing_ok=True)
    finally:
        os.close(directory)
