import os
from pathlib import Path

import pytest

from tests.chaos.small_disk import SmallDisk, small_disk


def test_a_full_disk_takes_nothing_until_it_is_freed(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1 << 20) as disk:
        _require_mounted(disk)
        disk.fill()
        with pytest.raises(OSError, match="No space left"):
            (disk.directory / "more").write_bytes(bytes(100_000))
        disk.free()
        (disk.directory / "more").write_bytes(bytes(100_000))
    assert list((tmp_path / "disk").iterdir()) == []


def test_a_disk_is_not_mounted_where_something_is_already(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError), small_disk(tmp_path, 1 << 20):
        pass


def _require_mounted(disk: SmallDisk) -> None:
    """Skip where nothing may be mounted; fail there in CI that runs as root, which may."""
    if not disk.why_not:
        return
    if os.environ.get("CI") == "true" and os.geteuid() == 0:
        pytest.fail(f"CI runs as root and must test full disks: {disk.why_not}")
    pytest.skip(f"NOT TESTED ON A FULL DISK, and the faults of full disks are left out of the chaos: {disk.why_not}")
