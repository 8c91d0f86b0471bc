import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import orjson
import polars as pl
import pytest
from typer.testing import CliRunner

from loadtest.cli.live import app

TINY = ("--scenario", "tiny", "--top-n", "3", "--anonymous", "0")
LIST = ["i000001", "i000002", "i000003"]


class Asked(Protocol):
    path: str
    body: bytes


Serve = Callable[[Callable[[Asked], Sequence[bytes | float | str]]], Any]


def called(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout, result.stderr


def http(body: object) -> bytes:
    encoded = orjson.dumps(body)
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(encoded), encoded)


def answers(*item_ids: str) -> Callable[[Asked], Sequence[bytes]]:
    def script(asked: Asked) -> Sequence[bytes]:
        if asked.path == "/recommend":
            items = [{"item_id": item_id} for item_id in item_ids]
            return [
                http({"request_id": "r", "items": items, "arm": "stable", "bundle": "b1", "degraded": []})
            ]
        return [http({"results": [{"status": "accepted"}] * len(orjson.loads(asked.body))})]

    return script


def test_a_run_without_failures_exits_with_0_and_leaves_three_files(serve: Serve, tmp_path: Path) -> None:
    with serve(answers(*LIST)) as server:
        code, out, _ = called(
            "--url", server.url, *TINY, "--rate", "100", "--seconds", "0.5", "--json", "--out", str(tmp_path)
        )
    assert code == 0
    summary = orjson.loads(out)
    assert summary == {**orjson.loads((tmp_path / "live.json").read_bytes()), "scale": summary["scale"]}
    assert 0 < summary["scale"]["blind"] < summary["scale"]["best"] < 1
    line = pl.read_parquet(tmp_path / "timeline.parquet")
    assert line["n_answers"].sum() == summary["n_answers"] == summary["n_asked"] > 0
    met = pl.read_parquet(tmp_path / "arms_met.parquet")
    assert met["user_id"].n_unique() == met.height == summary["n_users"]


def test_a_short_list_exits_with_1_and_is_named(serve: Serve) -> None:
    with serve(answers(*LIST[:2])) as server:
        code, out, err = called("--url", server.url, *TINY, "--rate", "100", "--seconds", "0.3")
    assert code == 1, err
    assert "failures: short list" in out
    assert "watch rate of blind lists" in out


def test_nobody_listening_exits_with_2_and_says_why(serve: Serve) -> None:
    with serve(answers(*LIST)) as server:
        url = server.url
    code, out, _ = called("--url", url, *TINY, "--rate", "50", "--seconds", "0.2")
    assert code == 2
    assert "failures: connect" in out


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("--scenario", "huge"), "scenario"),
        (("--url", "ftp://here"), "URL"),
        (("--new", "0.8", "--anonymous", "0.3"), "more than 1.0"),
        (("--data", "/nowhere"), "simulated data set"),
        (("--data", "/nowhere", "--users", "5"), "the data says it"),
    ],
)
def test_wrong_usage_is_a_sentence_and_exits_with_2(wrong: tuple[str, ...], said: str) -> None:
    code, _, err = called(*wrong, "--seconds", "0.1")
    assert code == 2
    assert said in err


def test_the_world_may_be_named_by_its_data(serve: Serve, simulated_folder: Path) -> None:
    with serve(answers("i000001")) as server:
        code, out, err = called(
            "--url", server.url, "--data", str(simulated_folder), "--top-n", "1",
            "--rate", "100", "--seconds", "0.3", "--json",
        )  # fmt: skip
    assert code == 0, err
    assert orjson.loads(out)["failures"] == {}


def test_a_folder_that_cannot_be_written_costs_the_files_and_not_the_report(
    serve: Serve, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with serve(answers(*LIST)) as server:
        code, out, err = called(
            "--url", server.url, *TINY, "--seconds", "0.2", "--json", "--out", str(tmp_path / "file")
        )
    assert code == 2
    assert "--out" in err
    assert orjson.loads(out)["failures"] == {}


def test_ctrl_c_loses_nothing(serve: Serve) -> None:
    asked: list[str] = []

    def script(one: Asked) -> Sequence[bytes]:
        asked.append(one.path)
        if len(asked) == 20:
            os.kill(process.pid, signal.SIGINT)
        return answers(*LIST)(one)

    with serve(script) as server:
        command = (sys.executable, "-c", "from loadtest.cli.live import app; app()")
        words = ("--url", server.url, *TINY, "--rate", "50", "--json")
        process = subprocess.Popen([*command, *words], stdout=subprocess.PIPE, text=True)
        out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert orjson.loads(out)["n_answers"] >= 5


def test_every_option_is_on_the_page() -> None:
    page = (Path(__file__).parents[3] / "docs" / "live.md").read_text()
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200", "TERM": "dumb"}).output
    options = set(re.findall(r"--[a-z][a-z-]+", shown)) - {
        "--help",
        "--install-completion",
        "--show-completion",
    }
    assert len(options) > 10
    assert {option for option in options if option not in page} == set()
