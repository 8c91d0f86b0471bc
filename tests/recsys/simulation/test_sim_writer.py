import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import orjson
import polars as pl
import pytest

from recsys.core.errors import DataFormatError
from recsys.core.hashing import digest_file
from recsys.data.badrows import OnBadRow
from recsys.data.formats import load_dataset
from recsys.data.schema import INTERACTIONS, ITEMS
from recsys.simulation import writer
from recsys.simulation.scenario import SCENARIOS
from recsys.simulation.writer import block_users, simulate

TINY = SCENARIOS["tiny"]


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): digest_file(path) for path in files}


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MAX_BLOCK_USERS", 64)  # 200 users: four blocks


@pytest.mark.usefixtures("small_blocks")
def test_one_seed_gives_one_result_whatever_the_number_of_workers(tmp_path: Path) -> None:
    for n_workers in (1, 2, 5):
        simulate(TINY, 7, tmp_path / str(n_workers), n_workers=n_workers, rows_per_part=1_000)
    one, two, five = (digests(tmp_path / name) for name in ("1", "2", "5"))
    assert one == two == five
    assert len(one) > 3


def test_another_seed_gives_another_result(tmp_path: Path) -> None:
    for seed in (7, 8):
        simulate(TINY, seed, tmp_path / str(seed))
    one, other = digests(tmp_path / "7"), digests(tmp_path / "8")
    assert one.keys() == other.keys()
    assert all(one[name] != other[name] for name in one)


def test_tables_have_the_schema_of_every_data_set_and_no_bad_row(tmp_path: Path) -> None:
    done = simulate(TINY, 7, tmp_path / "data")
    assert pl.read_parquet_schema(tmp_path / "data/interactions/part-00000.parquet") == INTERACTIONS
    assert pl.read_parquet_schema(tmp_path / "data/items.parquet") == ITEMS
    loaded = load_dataset(tmp_path / "data", on_bad_row=OnBadRow.FAIL, now_s=TINY.ends_s)
    assert loaded.dataset.name == "tiny-7"
    assert loaded.dataset.interactions.height == done.n_interactions


def test_the_description_says_what_was_written(tmp_path: Path) -> None:
    done = simulate(TINY, 7, tmp_path / "data")
    facts = orjson.loads((tmp_path / "data/dataset.json").read_bytes())
    assert (facts["format"], facts["version"], facts["seed"]) == ("marquee-dataset", 1, 7)
    assert facts["scenario"] == TINY.model_dump()
    assert facts["n_interactions"] == done.n_interactions
    assert 0.98 * TINY.n_events <= done.n_interactions <= TINY.n_events


@pytest.mark.usefixtures("small_blocks")
def test_a_part_is_written_as_soon_as_it_has_rows_enough(tmp_path: Path) -> None:
    done = simulate(TINY, 7, tmp_path / "data", rows_per_part=1_000)
    parts = sorted((tmp_path / "data/interactions").iterdir())
    assert [part.name for part in parts] == [f"part-{n:05d}.parquet" for n in range(done.n_parts)]
    assert sum(pl.read_parquet(part).height for part in parts) == done.n_interactions
    assert done.n_parts >= 3


@pytest.mark.parametrize("n_items", [1, 1_000, 20_000, 1_000_000, 8_000_000])
def test_a_block_remembers_who_has_seen_what_in_64_mebibytes_at_most(n_items: int) -> None:
    users = block_users(TINY.model_copy(update={"n_items": n_items}))
    assert users >= 64
    assert users * (n_items // 8 + 1) <= (64 << 20) or users == 64


@pytest.mark.usefixtures("small_blocks")
def test_progress_runs_up_to_the_number_of_rows(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    done = simulate(TINY, 7, tmp_path / "data", lambda rows, planned: calls.append((rows, planned)))
    assert len(calls) == 4
    assert calls == sorted(calls)
    assert calls[-1] == (done.n_interactions, TINY.n_events)


def interrupt(rows: int, planned: int) -> None:
    raise KeyboardInterrupt(rows, planned)


def test_an_interrupted_run_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        simulate(TINY, 7, tmp_path / "data", interrupt)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_run_leaves_the_data_set_that_was_there(tmp_path: Path) -> None:
    simulate(TINY, 7, tmp_path / "data")
    before = digests(tmp_path / "data")
    with pytest.raises(KeyboardInterrupt):
        simulate(TINY, 8, tmp_path / "data", interrupt)
    assert digests(tmp_path) == {f"data/{name}": digest for name, digest in before.items()}


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DataFormatError, match="something else"):
        simulate(TINY, 7, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_command_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    main = "from recsys.cli.main import main; main()"
    arguments = ("data", "simulate", "--scenario", "medium", "--out", str(tmp_path / "data"))
    with subprocess.Popen([sys.executable, "-c", main, *arguments], stderr=subprocess.PIPE) as process:
        until_s = time.monotonic() + 60.0
        while not any(tmp_path.iterdir()) and time.monotonic() < until_s:
            time.sleep(0.01)
        began = [path.name for path in tmp_path.iterdir()]
        os.kill(process.pid, number)
        process.communicate(timeout=60.0)
    assert len(began) == 1
    assert began[0].startswith(".data.")
    assert process.returncode in {130, 143}
    assert list(tmp_path.iterdir()) == []
