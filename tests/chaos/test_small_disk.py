from pathlib import Path

import pytest

from tests.chaos.small_disk import small_disk


def test_a_full_disk_takes_nothing_until_it_is_freed(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1 << 20) as disk:
        if disk.why_not:
            assert disk.directory.is_dir()  # the faults of full disks are left out, and the report says why
            return
        disk.fill()
        with pytest.raises(OSError, match="No space left"):
            (disk.directory / "more").write_bytes(bytes(100_000))
        disk.free()
        (disk.directory / "more").write_bytes(bytes(100_000))
    assert list((tmp_path / "disk").iterdir()) == []
