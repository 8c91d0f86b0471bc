import os
import signal
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from deployments.cli.ingest import app
from recsys.data.events import Event, EventKind
from recsys.eventlog.writer import EventLogWriter
from recsys.lake.lake import Lake
from recsys.state.sqlite import SqliteUserState


def write(folder: Path, *event_ids: str) -> None:
    with EventLogWriter(folder, "w") as log:
        log.append_durably(
            [
                Event(event_id=event_id, user_id="ada", kind=EventKind.WATCH, time_s=1.0, item_id=event_id)
                for event_id in event_ids
            ]
        )


def test_a_log_of_files_lands_in_state_and_lake_without_a_broker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARQUEE_HOME", str(tmp_path))
    write(tmp_path / "events", "1", "2")
    (bad,) = (tmp_path / "events").iterdir()
    bad.write_bytes(bad.read_bytes()[:-1])  # torn: its writer died before anybody was told
    write(tmp_path / "events", "3")
    arguments = ["--once", "--json", "--batch-seconds", "0.01", "--metrics-port", "0"]
    for fates in ({"accepted": 2}, {}):
        result = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert result.exit_code == 0
        figures = orjson.loads(result.stdout.splitlines()[-1])
        assert figures["fates"] == fates
    assert sorted(Lake(tmp_path / "lake").read("events")["event_id"]) == ["1", "3"]
    with SqliteUserState(tmp_path / "state.db") as state:
        assert state.read(["ada"])[0].item_ids == ("1", "3")


@pytest.mark.slow
def test_asked_to_end_it_finishes_its_batch_and_ends_well(tmp_path: Path) -> None:
    write(tmp_path / "events", "1", "2")
    command = [sys.executable, "-c", "from deployments.cli.ingest import app; app()", "--metrics-port", "0"]
    with subprocess.Popen(
        [*command, "--json", "--batch-seconds", "60"],
        env={**os.environ, "MARQUEE_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as ingest:
        assert ingest.stderr is not None
        assert b"/metrics" in ingest.stderr.readline()  # it runs
        ingest.send_signal(signal.SIGTERM)
        said, _ = ingest.communicate(timeout=60.0)
    assert ingest.returncode == 0
    figures = orjson.loads(said.splitlines()[-1])
    in_lake = Lake(tmp_path / "lake").read("events").height if figures["messages"] else 0
    assert figures["landed"] == in_lake
