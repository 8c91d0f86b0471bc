"""Processes that share a folder of figures, and the exporter beside them."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from deployments.metrics_exporter import added_up, as_written, exporter
from deployments.metrics_files import MULTIPROCESS_VARIABLE, page
from recsys.core.errors import FieldError, UnavailableError

Start = Callable[[str], subprocess.Popen[str]]
COUNTS = """
import os, shutil, sys
from pathlib import Path
folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
for left_behind in folder.glob("left_behind_*.db"):
    shutil.copy(left_behind, folder / f"{left_behind.stem.removeprefix('left_behind_')}_{os.getpid()}.db")
from deployments.metrics import BUNDLE_INFO, CACHE_ENTRIES, EVENTS, TRAFFIC_VERSION
from deployments.metrics_files import stay_alive
alive = stay_alive(folder)
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Run lines in a process that shares the folder; it lives until it is killed."""
    started: list[subprocess.Popen[str]] = []

    def begin(lines: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", f"{COUNTS}\n{lines}\nprint('ready', flush=True)\nsys.stdin.read()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, MULTIPROCESS_VARIABLE: str(tmp_path)},
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield begin
    for process in started:
        kill(process)


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def samples(text: bytes) -> dict[tuple[str, ...], float]:
    """Return the values of a page by name and labels' values, in the order of the labels' names."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_counters_of_the_dead_still_count_and_their_gauges_do_not(start: Start, tmp_path: Path) -> None:
    lines = "EVENTS.labels('accepted').inc(3); CACHE_ENTRIES.set(7)"
    first, _ = start(lines), start(lines)
    both = samples(page(tmp_path))
    assert (both["marquee_events_total", "accepted"], both["marquee_cache_entries",]) == (6.0, 14.0)
    kill(first)
    one = samples(page(tmp_path))
    assert (one["marquee_events_total", "accepted"], one["marquee_cache_entries",]) == (6.0, 7.0)


def test_of_versions_the_oldest_is_shown(start: Start, tmp_path: Path) -> None:
    start("TRAFFIC_VERSION.set(4)")
    start("TRAFFIC_VERSION.set(5)")
    assert samples(page(tmp_path))["marquee_traffic_version",] == 4.0


def test_a_process_that_never_said_that_it_lives_has_no_gauges(start: Start, tmp_path: Path) -> None:
    start("alive.close(); CACHE_ENTRIES.set(7); EVENTS.labels('accepted').inc()")
    found = samples(page(tmp_path))
    assert ("marquee_cache_entries",) not in found
    assert found["marquee_events_total", "accepted"] == 1.0


def test_who_has_the_process_id_of_a_dead_one_inherits_its_counters_alone(
    start: Start, tmp_path: Path
) -> None:
    start_labels = "BUNDLE_INFO.labels('blue', 'old', 'in_force').set(1); EVENTS.labels('accepted').inc(3)"
    dead = start(start_labels)
    kill(dead)
    for kind in ("gauge_livemax", "counter"):
        (tmp_path / f"{kind}_{dead.pid}.db").rename(tmp_path / f"left_behind_{kind}.db")
    start("EVENTS.labels('accepted').inc(); [left.unlink() for left in folder.glob('left_behind_*.db')]")
    found = samples(page(tmp_path))
    assert found["marquee_bundle_info", "old", "blue", "in_force"] == 0.0
    assert found["marquee_events_total", "accepted"] == 4.0


def test_files_that_are_new_or_not_there_yet_are_no_trouble(start: Start, tmp_path: Path) -> None:
    assert page(tmp_path / "later") == b""
    start("EVENTS.labels('accepted').inc()")
    (tmp_path / "counter_1.db").touch()
    assert samples(page(tmp_path))["marquee_events_total", "accepted"] == 1.0


def test_the_exporter_answers_what_it_is_for(start: Start, tmp_path: Path) -> None:
    start("EVENTS.labels('accepted').inc(3)")
    with exporter(added_up(tmp_path), "127.0.0.1", 0) as port:
        url = f"http://127.0.0.1:{port}"
        figures = httpx.get(f"{url}/metrics")
        assert figures.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert figures.content == page(tmp_path)
        assert httpx.get(f"{url}/healthz").text == "alive\n"
        assert httpx.get(f"{url}/else").status_code == 404


def test_a_broken_file_is_no_page_and_no_end(start: Start, tmp_path: Path) -> None:
    start("EVENTS.labels('accepted').inc(3)")
    broken = tmp_path / "counter_1.db"
    broken.write_bytes(b"\x40\x00\x00\x00\x00\x00\x00\x00\xff\xff\x00\x00")
    with exporter(added_up(tmp_path), "127.0.0.1", 0) as port:
        assert httpx.get(f"http://127.0.0.1:{port}/metrics").status_code == 503
        broken.unlink()
        assert b"marquee_events_total" in httpx.get(f"http://127.0.0.1:{port}/metrics").content


def test_the_command_waits_for_the_folder_takes_no_part_and_ends_when_told(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    command = [sys.executable, "-c", "from deployments.cli.metrics import app; app()", "--port", "0"]
    command += ["--host", "127.0.0.1", "--folder", str(folder)]
    shared = {**os.environ, MULTIPROCESS_VARIABLE: str(folder)}  # as the other containers of the pod have it
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=shared) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        assert httpx.get(url).content == b""
        folder.mkdir()
        assert httpx.get(url).content == b""
        assert list(folder.iterdir()) == []
        process.send_signal(signal.SIGTERM)
        assert process.wait(60.0) == 0


def test_a_file_is_served_as_its_one_process_wrote_it_and_nothing_before_that(tmp_path: Path) -> None:
    file = tmp_path / "metrics.prom"
    with exporter(as_written(file), "127.0.0.1", 0) as port:
        assert httpx.get(f"http://127.0.0.1:{port}/metrics").content == b""
        file.write_text("marquee_drift_alarms_total 3\n")
        assert httpx.get(f"http://127.0.0.1:{port}/metrics").text == "marquee_drift_alarms_total 3\n"


@pytest.mark.parametrize("both", [True, False])
def test_a_folder_or_a_file_is_asked_for(both: bool, tmp_path: Path) -> None:
    from deployments.cli.metrics import main

    given = {"folder": tmp_path, "text": tmp_path / "metrics.prom"} if both else {}
    with pytest.raises(FieldError, match="--folder, --text"):
        main(**given, host="127.0.0.1", port=0)


def test_a_port_that_is_taken_is_said_so(tmp_path: Path) -> None:
    from deployments.cli.metrics import main

    with (
        exporter(added_up(tmp_path), "127.0.0.1", 0) as port,
        pytest.raises(UnavailableError, match=f"port {port}"),
    ):
        main(folder=tmp_path, host="127.0.0.1", port=port)
