import os
import subprocess
import sys
from pathlib import Path

import pytest

from recsys.core.clock import SIMULATED_CLOCK, clock_of
from recsys.core.errors import FieldError


@pytest.mark.parametrize(("machine_s", "world_s"), [(0.0, 5_000.0), (100.0, 5_000.0), (103.0, 5_180.0)])
def test_a_simulated_clock_goes_at_its_pace_from_the_time_of_its_file(
    machine_s: float, world_s: float, tmp_path: Path
) -> None:
    file = tmp_path / "begin, now"  # a comma is a letter like others
    file.touch()
    os.utime(file, (100.0, 100.0))
    assert clock_of(f"5000,60,{file}", lambda: machine_s)() == world_s


def test_a_simulated_clock_stands_until_its_file_is_there_and_needs_it_no_longer(tmp_path: Path) -> None:
    file = tmp_path / "begin"
    clock = clock_of(f"5000,60,{file}", lambda: 103.0)
    assert (clock(), clock()) == (5_000.0, 5_000.0)
    file.touch()
    os.utime(file, (100.0, 100.0))
    assert clock() == 5_180.0
    file.unlink()
    assert clock() == 5_180.0


@pytest.mark.parametrize("text", ["", "1,2", "0,soon,file"])
def test_what_is_no_simulated_clock_is_refused_by_name(text: str) -> None:
    with pytest.raises(FieldError, match=f"{SIMULATED_CLOCK}: got {text!r}"):
        clock_of(text)


def test_every_process_that_the_environment_reaches_has_the_simulated_time(tmp_path: Path) -> None:
    code = "from recsys.core.clock import unix_clock; print(unix_clock())"
    environment = {**os.environ, SIMULATED_CLOCK: f"86400,1,{tmp_path / 'not there yet'}"}
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    assert float(said.stdout) == 86_400.0
