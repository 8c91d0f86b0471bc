"""Memory of real processes."""

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from loadtest.soak.memory import Watch, held_by, marked, name_of
from recsys.core.clock import monotonic_clock

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

MB = 1 << 20
_HOLD = "import sys; kept = bytearray(b'x' * (64 << 20)); print('ready', flush=True); sys.stdin.read()"


@pytest.fixture
def holder() -> Iterator["subprocess.Popen[bytes]"]:
    """Run a process that holds 64 MiB and has a mark in its environment."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"MARK": "of-this-test"},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    yield process
    process.communicate()


def test_a_process_holds_what_it_filled(holder: "subprocess.Popen[bytes]") -> None:
    held = held_by(holder.pid)
    assert held is not None
    assert 64 * MB <= held.own < 96 * MB
    assert held.shared > 0


def test_marked_processes_are_found_and_no_others(holder: "subprocess.Popen[bytes]") -> None:
    assert list(marked("MARK=of-this-test")) == [holder.pid]
    assert list(marked("MARK=of-another-test")) == []


def test_a_watch_samples_while_it_lasts(holder: "subprocess.Popen[bytes]") -> None:
    watch = Watch("MARK=of-this-test", 0.01, monotonic_clock)
    with watch.going_on():
        give_up_s = time.monotonic() + 30.0
        while not any(len(history.held) > 2 for history in watch.histories):
            assert time.monotonic() < give_up_s
            time.sleep(0.01)
    [history] = watch.histories
    assert history.pid == holder.pid
    assert history.at_s == sorted(history.at_s)
    assert len(history.at_s) == len(history.held)


def test_a_process_that_is_gone_holds_nothing() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert held_by(process.pid) is None


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("ray::ServeReplica:marquee:ranking-green", "ranking-green"),
        ("ray::ServeReplica:marquee:router.perform_graceful_shutdown", "router"),
        ("/x/ray/core/src/ray/raylet/raylet --raylet_socket_name=y", "raylet"),
        ("/x/ray/core/src/ray/gcs/gcs_server --log_dir=z", "Ray GCS"),
        ("haproxy -f /tmp/c", "HAProxy"),
        ("sleep 5", "something else"),
    ],
)
def test_names_say_what_a_process_is_for(command: str, name: str) -> None:
    assert name_of(command) == name
