from pathlib import Path

import pytest

from sources.spool.spool import Spool
from streams.clock import SystemClock
from streams.doctor.collector import check_key_secret, check_spool

GIB = 1 << 30


@pytest.mark.parametrize(("secret", "level"), [("", "warn"), ("hunter2", "warn"), ("x" * 32, "ok")])
def test_a_secret_that_is_missing_or_short_is_warned_of_and_never_shown(secret: str, level: str) -> None:
    [finding] = check_key_secret(secret)
    assert finding.level == level
    assert not secret or secret not in str(finding)
    assert ("openssl rand -hex 32" in finding.fix) == (level == "warn")


def test_without_a_spool_there_is_nothing_to_say() -> None:
    assert check_spool("", GIB) == []


def test_a_spool_says_what_it_holds_and_what_is_free(tmp_path: Path) -> None:
    (tmp_path / "1.spool").write_bytes(b"x" * (3 << 20))
    [finding] = check_spool(str(tmp_path), 4 << 20)
    assert finding.level == "ok"
    assert finding.what.startswith(f"spool: {tmp_path}, 3 MiB held, ")
    [finding] = check_spool(str(tmp_path), 1 << 60)
    assert (finding.level, "lets it take 1,099,511,627,773 MiB more" in finding.what) == ("warn", True)
    assert [path.name for path in tmp_path.iterdir()] == ["1.spool"]


def test_damaged_segments_are_told(tmp_path: Path) -> None:
    (tmp_path / "7.damaged").write_bytes(b"x")
    room, damaged = check_spool(str(tmp_path), GIB)
    assert (room.level, damaged.level) == ("ok", "warn")
    assert "1 damaged segments, 7.damaged first" in damaged.what


def test_a_directory_that_is_not_made_yet_is_well_and_none_that_can_be_made_is_not(tmp_path: Path) -> None:
    [finding] = check_spool(str(tmp_path / "a" / "b"), GIB)
    assert finding.level == "ok"
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    for name in ("file", "file/below"):
        [finding] = check_spool(str(tmp_path / name), GIB)
        assert (finding.level, "collector.spool_dir" in finding.fix) == ("fail", True)


async def test_a_collector_that_runs_is_not_disturbed(tmp_path: Path) -> None:
    spool = Spool(tmp_path, GIB, now_ms=SystemClock().now_ms)
    await spool.open()
    try:
        [finding] = check_spool(str(tmp_path), GIB)
        assert finding.level == "ok"
        assert spool.takes_records
    finally:
        await spool.close()
