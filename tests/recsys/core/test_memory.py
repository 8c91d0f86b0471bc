import os
import subprocess
import sys

import pytest

from recsys.core.memory import family_mb, peak_watched

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of shared memory")


@linux
def test_the_memory_of_a_child_counts() -> None:
    hold = "import sys; a = bytearray(b'x') * (64 << 20); print(flush=True); sys.stdin.read()"
    before_mb = sum(family_mb(os.getpid()).values())
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        sizes = family_mb(os.getpid())
        child.communicate()
    assert 64.0 < sizes[child.pid] < 128.0
    assert sum(sizes.values()) - before_mb > 60.0


@linux
def test_the_peak_is_kept_when_the_memory_is_gone() -> None:
    with peak_watched(lambda command: "no such command" in command) as peak:
        pass
    assert peak.all_mb > 0.0
    assert peak.some_mb == 0.0
