import time
from pathlib import Path

import pytest

from tests.chaos.part import step_clock_by
from tests.eventually import eventually


async def test_the_clock_of_a_part_steps_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, real_ns = time.time, time.time_ns
    monkeypatch.setattr(time, "time", real)  # put back at the end
    monkeypatch.setattr(time, "time_ns", real_ns)
    file = tmp_path / "clock"
    file.write_text("-3600")
    step_clock_by(file)
    assert time.time() - real() == pytest.approx(-3600, abs=5)
    file.write_text("3600")
    await eventually(lambda: time.time() > real() + 3500)
    assert (time.time_ns() - real_ns()) / 1e9 == pytest.approx(3600, abs=5)
