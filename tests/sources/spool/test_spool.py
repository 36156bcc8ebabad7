"""The spool on a real disk: crashes, a full disk, a full spool."""

import asyncio
import errno
import os
import shutil
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sources.base import OutgoingRecord
from sources.spool import files
from sources.spool.spool import WINDOW_BYTES, Spool, SpoolUnusableError
from tests.eventually import eventually

NOW = 1_772_442_000_000
MIB = 2**20


def records(*values: str) -> list[OutgoingRecord]:
    return [OutgoingRecord("events", b"1a", value.encode()) for value in values]


def files_in(directory: Path, suffix: str = "") -> list[Path]:
    return sorted(path for path in directory.iterdir() if path.name.endswith(suffix))


async def opened(directory: Path, max_bytes: int = MIB) -> Spool:
    spool = Spool(directory, max_bytes, now_ms=lambda: NOW)
    await spool.open()
    return spool


async def drained(spool: Spool) -> list[str]:
    found = []
    while window := await spool.next_window():
        found += [record.value.decode() for record in window.records]
        await spool.acknowledged(window)
    return found


async def test_records_come_back_in_order_and_once(tmp_path: Path) -> None:
    spool = await opened(tmp_path)
    assert spool.is_empty
    await spool.append(records("1", "2"))
    await asyncio.gather(*(spool.append(records(str(number))) for number in range(3, 50)))
    assert not spool.is_empty
    assert (spool.status().records, spool.status().oldest_ms) == (49, NOW)
    assert await drained(spool) == [str(number) for number in range(1, 50)]
    assert spool.is_empty
    assert spool.status() == (0, 0, None)
    await spool.append(records("later"))
    assert await drained(spool) == ["later"]
    await spool.close()
    assert [path.name for path in files_in(tmp_path)] == ["lock"]


async def test_only_its_owner_may_read_what_is_spooled(tmp_path: Path) -> None:
    spool = await opened(tmp_path / "spool")
    await spool.append(records("ada@bigbank.example"))
    modes = {path.stat().st_mode & 0o777 for path in files_in(tmp_path / "spool")}
    assert ((tmp_path / "spool").stat().st_mode & 0o777, modes) == (0o700, {0o600})
    await spool.close()


async def test_what_is_there_at_the_start_is_sent_first(tmp_path: Path) -> None:
    spool = await opened(tmp_path)
    await spool.append(records("1", "2"))
    await spool.close()
    again = await opened(tmp_path)
    assert (again.status().records, again.status().oldest_ms) == (2, NOW)
    await again.append(records("3"))
    assert await drained(again) == ["1", "2", "3"]
    await again.close()


async def test_a_large_record_is_a_window_by_itself(tmp_path: Path) -> None:
    spool = await opened(tmp_path, 10 * MIB)
    large = "x" * (3 * WINDOW_BYTES)
    await spool.append(records("1", large, "2"))
    assert await drained(spool) == ["1", large, "2"]
    await spool.close()


async def test_a_window_fits_one_batch_of_the_producer(tmp_path: Path) -> None:
    spool = await opened(tmp_path, 10 * MIB)
    await spool.append(records(*["x" * 700] * 1_000))
    while window := await spool.next_window():
        assert sum(len(record.key) + len(record.value) for record in window.records) <= WINDOW_BYTES
        await spool.acknowledged(window)
    await spool.close()


async def test_requests_that_come_together_share_a_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs: list[int] = []
    real = files.sync

    def sync(descriptor: int) -> None:
        syncs.append(descriptor)
        real(descriptor)

    monkeypatch.setattr(files, "sync", sync)
    spool = await opened(tmp_path)
    await asyncio.gather(*(spool.append(records(str(number))) for number in range(200)))
    assert len(syncs) <= 3
    await spool.close()


async def test_nobody_is_answered_before_the_sync_and_the_loop_goes_on_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = await opened(tmp_path)
    started, finish = threading.Event(), threading.Event()

    def sync(_: int) -> None:
        started.set()
        finish.wait(10)

    monkeypatch.setattr(files, "sync", sync)
    appending = asyncio.create_task(spool.append(records("1")))
    await eventually(started.is_set)
    assert not appending.done()
    assert not spool.is_empty
    assert await spool.next_window() is None, "nor is it sent"
    finish.set()
    await appending
    assert await drained(spool) == ["1"]
    await spool.close()


async def test_requests_under_way_count_for_the_bound(tmp_path: Path) -> None:
    spool = await opened(tmp_path, 64_000)
    answers = await asyncio.gather(*(spool.append(records("x" * 1_000)) for _ in range(100)), return_exceptions=True)
    assert sum(answer is None for answer in answers) > 55
    assert {type(answer) for answer in answers} == {type(None), SpoolUnusableError}
    assert spool.status().bytes <= 64_000
    await spool.close()


async def test_a_failure_that_nobody_thought_of_is_an_error_of_the_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
    spool = await opened(tmp_path)
    await spool.append(records("1"))

    def fail(_: int) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(files, "sync", fail)
        with pytest.raises(SpoolUnusableError, match="given up"):
            await spool.append(records("2"))
    await spool.append(records("3"))
    assert await drained(spool) == ["1", "3"]
    await spool.close()
    assert [type(error) for error in told] == [ZeroDivisionError]


async def test_a_full_spool_refuses_and_takes_again_when_some_is_drained(tmp_path: Path) -> None:
    spool = await opened(tmp_path, 64_000)
    value = "x" * 1_000
    taken = 0
    while spool.status().bytes < 62_000:
        await spool.append(records(value))
        taken += 1
    assert taken > 55
    with pytest.raises(SpoolUnusableError, match="the spool is full"):
        await spool.append(records(value, value))
    assert sum(path.stat().st_size for path in files_in(tmp_path)) <= 64_000
    window = await spool.next_window()
    assert window is not None
    await spool.acknowledged(window)
    await spool.append(records(value))
    await spool.close()


async def test_a_disk_that_refuses_is_an_error_and_what_was_kept_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    spool = await opened(tmp_path)
    await spool.append(records("1"))
    real_write, full = os.write, True

    def write(descriptor: int, data: bytes) -> int:
        if not full:
            return real_write(descriptor, data)
        if len(data) > 10:
            return real_write(descriptor, data[:10])  # then there is no room for the rest
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", write)
    for _ in range(2):
        with pytest.raises(SpoolUnusableError, match="No space left on device"):
            await spool.append(records("2"))
    assert not spool.takes_records
    assert caplog.text.count("cannot be written") == 1  # not for each request
    full = False
    await spool.append(records("3"))
    assert spool.takes_records
    assert await drained(spool) == ["1", "3"]
    await spool.close()


async def test_a_path_that_is_no_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolUnusableError, match=r"file/spool cannot be used: Not a directory"):
        await opened(tmp_path / "file" / "spool")


async def test_two_processes_do_not_share_a_directory(tmp_path: Path) -> None:
    spool = await opened(tmp_path)
    with pytest.raises(SpoolUnusableError, match="another process uses it"):
        await opened(tmp_path)
    await spool.close()


async def test_a_damaged_segment_gives_what_lies_before_and_is_kept(tmp_path: Path) -> None:
    spool = await opened(tmp_path)
    await spool.append(records("1", "2", "3"))
    await spool.close()
    (path,) = files_in(tmp_path, ".spool")
    data = bytearray(path.read_bytes())
    data[-60] ^= 1  # in the second record
    path.write_bytes(data)
    again = await opened(tmp_path)
    assert await drained(again) == ["1"]
    await again.append(records("4"))
    assert await drained(again) == ["4"]
    await again.close()
    assert [each.name for each in files_in(tmp_path, ".damaged")] == [f"{1:016d}.damaged"]


async def test_a_segment_that_is_damaged_while_we_run_is_kept(tmp_path: Path) -> None:
    spool = await opened(tmp_path)
    await spool.append(records("1"))
    (path,) = files_in(tmp_path, ".spool")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert await drained(spool) == []
    await spool.append(records("2"))
    assert await drained(spool) == ["2"]
    assert len(files_in(tmp_path, ".damaged")) == 1
    await spool.close()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.lists(st.integers(0, 6_000), min_size=1, max_size=4)),
        st.tuples(st.just("drain"), st.integers(1, 3)),
        st.tuples(st.just("crash"), st.none()),
    ),
    max_size=14,
)


@settings(max_examples=150, deadline=None)
@given(STEPS, st.data())
def test_no_crash_loses_a_synced_record_or_makes_a_wrong_one(steps: list[tuple[str, Any]], data: Any) -> None:
    """A crash leaves what was synced, and any part of one more write after it; or nothing of that write."""
    with TemporaryDirectory() as name:
        asyncio.run(_crash(Path(name), steps, data))


async def _crash(root: Path, steps: list[tuple[str, Any]], data: Any) -> None:
    directory, runs, next_number = root / "0", 0, 0
    spool = await opened(directory, 100_000)
    synced: list[str] = []  # and not acknowledged, in order
    known: set[str] = set()
    for step, argument in [*steps, ("crash", None)]:
        if step == "append":
            values = [f"{next_number + place}:{'x' * size}" for place, size in enumerate(argument)]
            next_number += len(values)
            known |= set(values)
            try:
                await spool.append(records(*values))
            except SpoolUnusableError:
                continue
            synced += values
        elif step == "drain":
            for _ in range(argument):
                window = await spool.next_window()
                if window is None:
                    assert synced == []
                    break
                values = [record.value.decode() for record in window.records]
                assert values == synced[: len(values)]
                await spool.acknowledged(window)
                del synced[: len(values)]
        else:
            runs += 1
            copy = root / str(runs)
            shutil.copytree(directory, copy)
            await spool.close()
            lost = await _tear(copy, data, known, next_number)
            next_number += 1
            directory, spool = copy, await opened(copy, 100_000)
            found = []
            while window := await spool.next_window():
                found += [record.value.decode() for record in window.records]
                await spool.acknowledged(window)
            assert set(found) <= known
            assert [value for value in found if value in set(synced)] == synced
            assert not lost
            synced = []
    await spool.close()


async def _tear(directory: Path, data: Any, known: set[str], number: int) -> bool:
    """Appends a part of a write that was never acknowledged to the last segment; is any file set aside by that?"""
    segments = files_in(directory, ".spool")
    if segments:
        scratch = Spool(directory / "scratch", 100_000, now_ms=lambda: NOW)
        await scratch.open()
        value = f"{number}:torn"
        known.add(value)
        await scratch.append(records(value))
        await scratch.close()
        (torn,) = files_in(directory / "scratch", ".spool")
        frame = torn.read_bytes()[8:]
        shutil.rmtree(directory / "scratch")
        with segments[-1].open("ab") as file:
            file.write(frame[: data.draw(st.integers(0, len(frame)))])
    return bool(files_in(directory, ".damaged"))
