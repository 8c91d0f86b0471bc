import os
import subprocess
import sys

import pytest

from recsys.core.clock import SIMULATED_CLOCK, clock_of
from recsys.core.errors import FieldError


@pytest.mark.parametrize(("machine_s", "world_s"), [(0.0, 5_000.0), (100.0, 5_000.0), (103.0, 5_180.0)])
def test_a_simulated_clock_stands_until_it_begins_and_then_goes_at_its_pace(
    machine_s: float, world_s: float
) -> None:
    assert clock_of("100,5000,60", lambda: machine_s)() == world_s


@pytest.mark.parametrize("text", ["", "1,2", "now,0,1"])
def test_what_is_no_simulated_clock_is_refused_by_name(text: str) -> None:
    with pytest.raises(FieldError, match=f"{SIMULATED_CLOCK}: got {text!r}"):
        clock_of(text)


def test_every_process_that_the_environment_reaches_has_the_simulated_time() -> None:
    code = "from recsys.core.clock import unix_clock; print(unix_clock())"
    environment = {**os.environ, SIMULATED_CLOCK: "1e11,86400,1"}  # it has not begun yet
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    assert float(said.stdout) == 86_400.0
