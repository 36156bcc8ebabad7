"""A disk of its own for a directory, that can be full: a tmpfs whose size is changed. Needs to be root on Linux."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PAGE_BYTES = 4096
_ATTEMPTS = 20  # somebody else writes meanwhile


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """`why_not`: why it is a directory as any other, so that it cannot be full; else empty."""

    directory: Path
    size_bytes: int
    why_not: str

    def fill(self) -> None:
        """Leave no page free. What is written afterwards meets ENOSPC."""
        for _ in range(_ATTEMPTS):
            used = shutil.disk_usage(self.directory).used
            if not (complaint := self._resize(max(used, _PAGE_BYTES))):
                return
        raise RuntimeError(f"{self.directory} cannot be made full: {complaint}")

    def free(self) -> None:
        if complaint := self._resize(self.size_bytes):
            raise RuntimeError(f"{self.directory} stays full: {complaint}")

    def _resize(self, size_bytes: int) -> str:
        return _run("mount", "-o", f"remount,size={size_bytes}", str(self.directory))


@contextmanager
def small_disk(directory: Path, size_bytes: int) -> Iterator[SmallDisk]:
    """Mounted on `directory`, which is made for it, for as long as the block runs.

    Raises:
        FileExistsError: the directory is there; what a runner that was killed has left mounted would be used on.
    """
    directory.mkdir(parents=True)
    why_not = _run("mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=700", "leadstream-chaos", str(directory))
    try:
        yield SmallDisk(directory, size_bytes, why_not)
    finally:
        if not why_not:
            _run("umount", "--lazy", str(directory))


def _run(*command: str) -> str:
    """What it complains about; empty if it does not."""
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return f"{command[0]} is not here"
    return "" if run.returncode == 0 else run.stderr.strip() or f"{command[0]} ended with {run.returncode}"
