import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import orjson
import polars as pl
import pytest
from typer.testing import CliRunner

from loadtest.cli.loadtest import app
from loadtest.reports.document import read_report
from loadtest.self_test.server import trivial_server
from tests.loadtest.conftest import Asked, answer, list_of, serving

LEAN = ["--transport", "lean", "--set", "arrivals=even", "--set", "most_lateness_s=30"]


def called(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.output


def test_run_passes_writes_everything_and_exits_with_0(tmp_path: Path) -> None:
    rows = tmp_path / "rows.parquet"
    with serving(lambda _: [answer(list_of("1", arm="a"))]) as server:
        code, text = called(
            "run", server.url, "--rate", "40", "--duration", "1", *LEAN, "--pass", "errors=0, rate>=1%",
            "--out", str(tmp_path / "out"), "--rows", str(rows),
        )  # fmt: skip
    assert code == 0, text
    report = read_report(tmp_path / "out" / "report.json")
    assert (report.total.good, report.sent) == (40, 40)
    assert (tmp_path / "out" / "report.html").read_text().startswith("<!doctype html>")
    found = pl.read_parquet(rows)
    assert (found.height, found["arm"].unique().to_list(), found["error"].unique().to_list()) == (
        40,
        ["a"],
        [""],
    )


@pytest.mark.parametrize(
    ("steps", "marks", "code"),
    [
        (answer(list_of("1"), "500 Oops"), "errors=0", 1),
        (answer(b"", "503 Busy"), "shed=0", 1),
        (answer(b"", "503 Busy"), "errors=0", 0),
        (answer(list_of("1", degraded=True)), "degraded<1%", 1),
        (answer(list_of("1")), "p99<1us", 1),
    ],
)
def test_a_mark_that_fails_is_exit_code_1(steps: bytes, marks: str, code: int) -> None:
    with serving(lambda _: [steps]) as server:
        found, text = called("run", server.url, "--rate", "20", "--duration", "0.5", *LEAN, "--pass", marks)
    assert found == code, text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "ftp://x"], "expected http://host"),
        (["run", "http://127.0.0.1:1", "--pass", "p99<50"], "a unit of time"),
        (["run", "http://127.0.0.1:1", "--rate", "fast"], "requests per second"),
        (["run", "http://127.0.0.1:1", "--set", "worker=3"], "worker"),
        (["run", "http://127.0.0.1:1", "--mix", "x=1"], "got call 'x'"),
        (["run", "https://127.0.0.1:1", "--transport", "lean"], "lean speaks plain http only"),
        (["find-limit", "http://127.0.0.1:1", "--pass", "p99"], "marks such as"),
    ],
)
def test_wrong_usage_is_a_sentence_and_exit_code_2(arguments: list[str], told: str) -> None:
    code, text = called(*arguments)
    assert code == 2
    assert told in text
    assert "Traceback" not in text


def test_nothing_reached_is_exit_code_2() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        code, text = called("run", url, "--rate", "20", "--duration", "0.5", *LEAN)
    assert code == 2
    assert "connect" in text


def test_a_tester_that_is_too_slow_is_exit_code_3() -> None:
    with serving(lambda _: [answer(list_of("1"))]) as server:
        code, text = called(
            "run", server.url, "--rate", "20", "--duration", "0.5", *LEAN, "--set", "most_lateness_s=1e-9"
        )
    assert code == 3
    assert "THE LOAD TESTER WAS TOO SLOW" in text


def test_a_closed_loop_and_json_for_machines() -> None:
    with serving(lambda _: [0.01, answer(list_of("1"))]) as server:
        code, text = called(
            "run", server.url, "--connections", "3", "--duration", "0.5", "--transport", "lean", "--json"
        )
    assert code == 0
    said = orjson.loads(text[text.index("{") :])
    assert said["mode"] == "closed loop, 3 connections for 0.5 s"
    assert said["scheduled_per_s"] == 0


def test_visits_send_events_that_name_the_answer_they_follow_from() -> None:
    with serving(lambda _: [answer(list_of("5", "6"))]) as server:
        code, text = called(
            "run", server.url, "--rate", "40", "--duration", "1.5", *LEAN, "--visits", "1",
            "--set", "traffic.visits.think_s=0.01",
        )  # fmt: skip
        asked: list[Asked] = list(server.asked)
    assert code == 0, text
    events = [orjson.loads(a.body) for a in asked if a.path == "/events"]
    assert len(events) > 10
    assert {(e["item_id"], e["request_id"]) for sent in events for e in sent} == {("5", "r1"), ("6", "r1")}


@pytest.mark.slow
def test_find_limit_finds_the_rate_at_which_a_server_begins_to_refuse(tmp_path: Path) -> None:
    def script(asked: Asked) -> list[bytes]:
        recent = [a for a in server.asked[-400:] if asked.at_s - a.at_s < 1.0]
        return [answer(b"", "503 Busy") if len(recent) > 60 else answer(list_of("1"))]

    with serving(script) as server:
        code, text = called(
            "find-limit", server.url, "--start", "20", "--growth", "2", "--precision", "0.3", "--step", "2",
            "--rest", "1", *LEAN, "--pass", "shed=0, errors=0", "--out", str(tmp_path),
        )  # fmt: skip
    report = read_report(tmp_path / "report.json")
    assert code == 0, text
    assert report.limit_per_s is not None
    assert 40 <= report.limit_per_s <= 60
    assert [step.passed for step in report.curve[:3]] == [True, True, False]


@pytest.mark.slow
def test_self_test_measures_every_transport() -> None:
    code, text = called("self-test", "--seconds", "0.5", "--json")
    assert code == 0
    costs = orjson.loads(text)
    assert [cost["transport"] for cost in costs] == ["httpx", "lean"]
    assert all(cost["failed"] == 0 and cost["cpu_us"] > 0 for cost in costs)
    assert costs[1]["cpu_us"] < costs[0]["cpu_us"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
def test_ctrl_c_ends_early_with_a_report_of_what_was_done(tmp_path: Path) -> None:
    with trivial_server() as url:
        process = subprocess.Popen(
            [
                sys.executable, "-c", "from loadtest.cli.loadtest import app; app()", "run", url,
                "--rate", "50", "--duration", "600", *LEAN, "--workers", "2", "--out", str(tmp_path),
            ],
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )  # fmt: skip
        assert process.stderr is not None
        assert b"answered/s" in process.stderr.readline()  # the first line of progress, some seconds in
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers, too
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, out
    report = read_report(tmp_path / "report.json")
    assert report.total.good > 50
    assert all(worker.stopped_early for worker in report.workers)
    assert any("Ctrl-C" in warning for warning in report.warnings)
