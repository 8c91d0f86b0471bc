import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest

from recsys.core.clock import monotonic_clock, unix_clock
from recsys.eventlog.exposure import SCHEMA, Exposure
from recsys.eventlog.exposure_files import ExposureFile, Retention, exposure_files, write_exposures
from recsys.eventlog.exposure_reader import forget_exposures, scan_exposures
from recsys.eventlog.exposure_writer import ExposureConfig, ExposureThread, ExposureWriter, Fate

DAY_S = 86_400.0
NOON_S = 20_000 * DAY_S + DAY_S / 2  # 2024-10-04


def exposure(request_id: str, served_at_s: float = NOON_S, who: str | None = "p-ada") -> Exposure:
    return Exposure(
        request_id, served_at_s, who, "stable", "b", "recommend", None, 0,
        override=False, cached=False, degraded=["ranking: deadline"],
        item_ids=["a", "b"], scores=[2.0, 1.0], sources=["svd", "tags"], propensities=[1.0, 1.0],
    )  # fmt: skip


@dataclass
class Bench:
    """A writer whose time stands still until told otherwise."""

    folder: Path
    config: ExposureConfig = field(default_factory=ExposureConfig)
    writer_id: str = "w1"
    now_s: float = 0.0
    fates: Counter[Fate] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.writer = ExposureWriter(
            self.folder,
            self.writer_id,
            config=self.config,
            clock=lambda: self.now_s,
            unix_clock=lambda: NOON_S + self.now_s,
            on_fate=lambda fate, n: self.fates.update({fate: n}),
            pause=lambda: None,
        )

    def offer(self, *exposures: Exposure, n_bytes: int = 10) -> bool:
        return self.writer.offer(lambda: list(exposures), len(exposures), n_bytes)

    def read(self, **asked: float) -> list[str]:
        found = scan_exposures(self.folder, **asked).collect()  # type: ignore[arg-type]  # floats alone
        return found.sort("request_id")["request_id"].to_list()


def test_a_file_is_written_when_its_first_answer_is_old_enough(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ExposureConfig(max_age_s=10.0))
    bench.offer(exposure("1"))
    bench.writer.work()
    bench.now_s = 9.0
    bench.offer(exposure("2"))
    bench.writer.work()
    assert bench.read() == []
    bench.now_s = 10.0
    bench.writer.work()
    assert bench.read() == ["1", "2"]
    assert bench.fates == {Fate.WRITTEN: 2}
    bench.now_s = 12.0
    bench.offer(exposure("3"))
    bench.writer.work()
    bench.now_s = 21.0
    bench.writer.work()
    assert len(exposure_files(tmp_path)) == 1  # the age counts from the third answer, not from the first file
    bench.now_s = 22.0
    bench.writer.work()
    assert bench.read() == ["1", "2", "3"]


def test_a_file_is_written_when_it_is_full(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ExposureConfig(max_rows=200))
    for number in range(600):
        bench.offer(exposure(f"{number:03d}"))
    bench.writer.work()
    sizes = [pl.read_parquet(file.path).height for file in exposure_files(tmp_path)]
    assert sizes == [256, 256]  # two chunks of 128 each; the other 88 wait for company
    bench.writer.work(finish=True)
    assert bench.read() == [f"{number:03d}" for number in range(600)]


def test_a_file_is_written_when_it_is_large(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ExposureConfig(max_file_bytes=1_000))
    bench.offer(exposure("1"), n_bytes=999)
    bench.writer.work()
    assert bench.read() == []
    bench.offer(exposure("2"), n_bytes=1)
    bench.writer.work()
    assert bench.read() == ["1", "2"]
    bench.offer(exposure("3"), n_bytes=999)
    bench.writer.work()
    assert bench.read() == ["1", "2"]  # counting begins anew with each file


def test_what_is_written_is_all_that_was_said(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.offer(exposure("1"))
    bench.writer.work(finish=True)
    [row] = scan_exposures(tmp_path).collect().rows()
    assert row == (*exposure("1")[:-5], [], [], None, [], [])


@pytest.mark.parametrize(
    "config",
    [ExposureConfig(max_waiting_rows=4), ExposureConfig(max_waiting_bytes=1_000)],
    ids=["too many rows", "too many bytes"],
)
def test_when_too_much_waits_whole_batches_are_dropped_and_counted(
    tmp_path: Path, config: ExposureConfig
) -> None:
    bench = Bench(tmp_path, config)
    batches = [[exposure(f"{batch}{row}") for row in range(2)] for batch in range(3)]
    taken = [bench.offer(*batch, n_bytes=500) for batch in batches]
    assert taken == [True, True, False]
    assert bench.fates == {Fate.DROPPED: 2}
    bench.writer.work(finish=True)
    assert bench.read() == ["00", "01", "10", "11"]
    assert bench.offer(*batches[2], n_bytes=500)  # there is room again
    assert bench.fates == {Fate.DROPPED: 2, Fate.WRITTEN: 4}


def test_a_disk_that_refuses_costs_what_it_refused_and_no_more(tmp_path: Path) -> None:
    folder = tmp_path / "exposures"
    folder.write_text("not a folder")
    bench = Bench(folder)
    bench.offer(exposure("1"))
    bench.writer.work(finish=True)
    assert bench.fates == {Fate.DROPPED: 1}
    folder.unlink()
    bench.offer(exposure("2"))
    bench.writer.work(finish=True)
    assert bench.read() == ["2"]


def test_what_cannot_be_written_down_takes_no_later_answer_with_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.offer(exposure("\ud800"))  # a lone surrogate is no text
    bench.writer.work()
    bench.offer(exposure("2"))
    bench.writer.work(finish=True)
    assert bench.read() == ["2"]
    assert bench.fates == {Fate.DROPPED: 1, Fate.WRITTEN: 1}


def test_writers_side_by_side_do_not_touch_each_others_files(tmp_path: Path) -> None:
    benches = [Bench(tmp_path, writer_id=f"host-{number}") for number in range(3)]
    for number, bench in enumerate(benches):
        bench.offer(exposure(str(number)))
        bench.writer.work(finish=True)
    assert benches[0].read() == ["0", "1", "2"]
    assert len(exposure_files(tmp_path)) == 3


def test_a_reader_gets_its_time_range_and_opens_no_other_file(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for second in range(6):
        bench.offer(exposure(str(second), NOON_S + second))
        if second % 2:
            bench.writer.work(finish=True)
    exposure_files(tmp_path)[2].path.write_bytes(b"never opened")
    assert bench.read(since_s=NOON_S + 1, until_s=NOON_S + 4) == ["1", "2", "3"]
    assert bench.read(until_s=NOON_S) == []


def test_a_folder_that_is_not_there_yet_has_no_exposures(tmp_path: Path) -> None:
    assert scan_exposures(tmp_path / "none").collect().is_empty()


def test_a_file_of_an_earlier_version_lacks_columns_and_is_read_all_the_same(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.offer(exposure("1"))
    bench.writer.work(finish=True)
    [file] = exposure_files(tmp_path)
    lacking = ["cached", "session_pseudonym", "experiments", "teams", "explored_rank", "choices", "chances"]
    pl.read_parquet(file.path).drop(lacking).write_parquet(file.path)
    bench.offer(exposure("2"))
    bench.writer.work(finish=True)
    found = scan_exposures(tmp_path).collect().sort("request_id")
    assert found.schema == pl.Schema(SCHEMA)
    assert found.select(lacking).rows() == [
        (None, None, [], [], None, [], []),
        (False, None, [], [], None, [], []),
    ]


def test_whoever_asked_to_be_forgotten_is_not_read_and_then_not_there(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    shown = [
        ("1", 1.0, "p-ada"),
        ("2", 2.0, "p-ada"),
        ("3", 3.0, "p-ada"),
        ("4", 1.0, "p-bob"),
        ("5", 1.0, None),
    ]
    for request_id, after_s, who in shown:
        bench.offer(exposure(request_id, NOON_S + after_s, who))
        bench.writer.work(finish=True)  # a file each
    erased = {"p-ada": NOON_S + 2.0, "p-eve": NOON_S}
    kept = scan_exposures(tmp_path, erased_at_s=erased).collect()["request_id"]
    assert sorted(kept) == ["3", "4", "5"]
    assert forget_exposures(tmp_path, erased) == 2
    assert bench.read() == ["3", "4", "5"]
    assert forget_exposures(tmp_path, erased) == 0
    assert len(exposure_files(tmp_path)) == 3


def test_one_file_is_rewritten_without_those_to_be_forgotten(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.offer(exposure("1", who="p-ada"), exposure("2", who="p-bob"))
    bench.writer.work(finish=True)
    assert forget_exposures(tmp_path, {"p-ada": NOON_S}) == 1
    assert bench.read() == ["2"]
    assert b"p-ada" not in exposure_files(tmp_path)[0].path.read_bytes()


def days_written(folder: Path, n_days: int) -> None:
    for day in range(n_days):
        frame = pl.DataFrame({"served_at_s": [NOON_S - day * DAY_S]})
        write_exposures(folder, "w", day, frame)


def days_left(folder: Path) -> list[str]:
    return sorted(day.name for day in folder.iterdir())


def test_what_is_too_old_is_removed_with_its_day(tmp_path: Path) -> None:
    days_written(tmp_path, 5)
    retention = Retention(tmp_path, keep_days=2.5, keep_bytes=1 << 30)
    assert retention.enforce(NOON_S) == 2
    assert days_left(tmp_path) == ["2024-10-02", "2024-10-03", "2024-10-04"]
    assert retention.enforce(NOON_S) == 0


def test_what_is_too_much_is_removed_the_oldest_first(tmp_path: Path) -> None:
    days_written(tmp_path, 5)
    size = exposure_files(tmp_path)[0].path.stat().st_size
    assert Retention(tmp_path, keep_days=99.0, keep_bytes=2 * size).enforce(NOON_S) == 3
    assert days_left(tmp_path) == ["2024-10-03", "2024-10-04"]


def test_what_killed_writers_left_unfinished_is_removed_after_an_hour(tmp_path: Path) -> None:
    days_written(tmp_path, 1)
    [day] = tmp_path.iterdir()
    old, young = day / ".exposures-1.parquet.unfinished", day / ".exposures-2.parquet.unfinished"
    for path, age_s in ((old, 3_700.0), (young, 10.0)):
        path.write_bytes(b"half")
        os.utime(path, (NOON_S - age_s, NOON_S - age_s))
    Retention(tmp_path, keep_days=9.0, keep_bytes=1 << 30).enforce(NOON_S)
    assert (old.exists(), young.exists()) == (False, True)


def test_a_writer_enforces_retention_now_and_then(tmp_path: Path) -> None:
    days_written(tmp_path, 5)
    bench = Bench(tmp_path, ExposureConfig(keep_days=2.5))
    bench.writer.work()
    assert len(exposure_files(tmp_path)) == 3


@pytest.mark.parametrize(
    "name", ["x.parquet", "exposures-1-2-w-0.parquet", ".exposures-1-2-w-0.parquet.unfinished"]
)
def test_other_files_are_left_alone(tmp_path: Path, name: str) -> None:
    assert ExposureFile.of(tmp_path / name) is None


def test_closing_writes_all_that_was_offered(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    thread = ExposureThread(bench.writer)
    for number in range(1_000):
        bench.offer(exposure(f"{number:03d}"))
    thread.close()
    assert len(bench.read()) == 1_000
    assert bench.fates == {Fate.WRITTEN: 1_000}


def test_a_file_has_its_name_only_when_it_is_whole_and_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, list[int]]] = []
    put = Path.replace

    def sync(path: Path) -> None:
        seen.append((path.suffix, [pl.read_parquet(file.path).height for file in exposure_files(tmp_path)]))

    def replace(path: Path, target: Path) -> Path:
        assert not target.exists()
        seen.append(("named", []))
        return put(path, target)

    monkeypatch.setattr("recsys.eventlog.exposure_files.sync_file", sync)
    monkeypatch.setattr(Path, "replace", replace)
    bench = Bench(tmp_path)
    bench.offer(exposure("1"))
    bench.writer.work(finish=True)
    assert seen[-3:] == [(".unfinished", []), ("named", []), ("", [1])]


def write_for_ever(folder: Path) -> None:
    config = ExposureConfig(max_rows=1)
    writer = ExposureWriter(
        folder, "victim", config=config, clock=monotonic_clock, unix_clock=unix_clock, on_fate=lambda *_: None
    )
    number = 0
    while True:
        rows: Sequence[Exposure] = [exposure(f"{number}-{row}") for row in range(50)]
        writer.offer(lambda rows=rows: rows, 50, 1)  # type: ignore[misc]  # mypy knows no lambda defaults
        writer.work()
        number += 1


@pytest.mark.slow
def test_a_writer_killed_at_any_moment_leaves_only_whole_files(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    for wait_s in (0.0, 0.003, 0.011, 0.017):
        process = context.Process(target=write_for_ever, args=(tmp_path,))
        process.start()
        while len(exposure_files(tmp_path)) < 3:
            time.sleep(0.01)
        time.sleep(wait_s)
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        for file in exposure_files(tmp_path):
            assert pl.read_parquet(file.path).height == 50
            file.path.unlink()
