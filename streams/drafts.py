"""Files that are being made. A lock says whether somebody still writes one; what a killed process left is removed."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_SUFFIX = ".draft"
_JOURNAL_SUFFIX = ".draft-journal"  # what SQLite puts beside a file; bases of now have none


@contextmanager
def draft_of(path: Path) -> Iterator[Path]:
    """An empty file beside `path` that its owner alone can read. Unless it was moved away, it is gone at the end.

    Drafts in the directory, which is made if it is missing, are removed first where nobody holds their lock any more.

    Raises:
        OSError: the disk does not take it.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}{_SUFFIX}")
    with _alone_in(path.parent):  # else a draft that is not locked yet would be taken for one that was left
        _remove_left(path.parent)
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)
        os.close(descriptor)


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove_left(directory: Path) -> None:
    for draft in directory.glob(f"*{_SUFFIX}"):
        with suppress(FileNotFoundError, BlockingIOError):  # it was just finished; it is being written
            descriptor = os.open(draft, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                draft.unlink()
            finally:
                os.close(descriptor)
    for journal in directory.glob(f"*{_JOURNAL_SUFFIX}"):
        if not journal.with_suffix(_SUFFIX).exists():
            journal.unlink(missing_ok=True)
