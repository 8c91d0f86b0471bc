"""One definition of features, three executors: Polars, Ray Data, and the server for one request."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys.core.errors import BadRowsError
from recsys.data.badrows import OnBadRow
from recsys.data.events import Event, EventKind
from recsys.data.folder import save_dataset
from recsys.data.log import Vocabulary
from recsys.data.schema import INTERACTIONS, ITEMS, Dataset, Kind
from recsys.features.build import Executor, Here, build
from recsys.features.of_users import USER_FEATURES
from recsys.features.sources import source_of
from recsys.features.table import SHARE_COLUMNS, TAG_COLUMNS, catalogue_of, choices_of, user_table
from recsys.features.windows import item_windows, plays_of
from recsys.lake.importing import import_dataset
from recsys.lake.open import open_lake
from recsys.pipeline.lives import features_of_states
from recsys.state.codec import decode_record, encode_record, read_view, view_of
from recsys.state.record import Record, StateLimits, apply_events

NOW_S = 1e9
ITEM_ROWS = pl.DataFrame(
    {
        "item_id": ["a", "b", "c", "d"],
        "title": [None] * 4,
        "tags": [["x", "y"], ["y"], [], ["z", "x"]],
        "creator_id": [None] * 4,
        "duration_s": [100.0, 60.5, None, 7.0],
        "published_s": [None] * 4,
        "cost": [None] * 4,
        "available": [True] * 4,
    },
    schema=ITEMS,
)
Row = tuple[str, str, str, float, float | None]

rows = st.tuples(
    st.sampled_from(["ada", "ben", "cem"]),
    st.sampled_from(["a", "b", "c", "d", "not in the catalogue"]),
    st.sampled_from([Kind.WATCH.value, Kind.LIKE.value, Kind.SKIP.value, Kind.IMPRESSION.value]),
    st.integers(0, 40).map(lambda step: step * 601.0),  # 30 minutes are three steps, less three seconds
    st.none() | st.floats(0.0, 2.0, width=32),
)


def dataset_of(given_rows: list[Row]) -> Dataset:
    return Dataset(
        "small",
        pl.DataFrame(given_rows, schema=INTERACTIONS_BUT_CONTEXT, orient="row").with_columns(
            context=pl.lit(None, dtype=pl.String())
        ),
        ITEM_ROWS,
    )


INTERACTIONS_BUT_CONTEXT = pl.Schema({k: v for k, v in INTERACTIONS.items() if k != "context"})


def whole_table(dataset: Dataset) -> pl.DataFrame:
    catalogue = catalogue_of(dataset.items)
    return user_table(choices_of(dataset.interactions, catalogue), catalogue)


def read(folder: Path, table: str) -> pl.DataFrame:
    files = sorted((folder / table).glob("*.parquet"))
    key = "user_id" if table == "users" else "item_id"
    return pl.concat([pl.read_parquet(file) for file in files]).sort(key, "time_s", maintain_order=True)


def built(data: Path, out: Path, executor: Executor, *, rows_per_piece: int = 5) -> Path:
    source = source_of(data, on_bad_row=OnBadRow.FAIL, now_s=NOW_S, rows_per_piece=rows_per_piece)
    build(source, out, executor, rows_per_partition=4)
    return out


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.lists(rows, max_size=25))
def test_partitions_give_what_everything_at_once_gives(tmp_path: Path, given_rows: list[Row]) -> None:
    dataset = dataset_of(given_rows)
    save_dataset(dataset, tmp_path / "data")
    out = built(tmp_path / "data", tmp_path / "out", Here())
    assert read(out, "users").equals(whole_table(dataset))
    choices = choices_of(dataset.interactions, catalogue_of(dataset.items))
    assert read(out, "items").equals(item_windows(plays_of(choices)))


@settings(max_examples=60)
@given(st.lists(rows.filter(lambda row: row[1] != "not in the catalogue"), max_size=25))
def test_the_server_computes_for_one_request_what_the_table_says(given_rows: list[Row]) -> None:
    dataset = dataset_of(given_rows)
    catalogue = catalogue_of(dataset.items)
    table = whole_table(dataset)
    vocabulary = Vocabulary(dataset.items["item_id"].to_list())
    for asked in table.iter_rows(named=True):
        events = [
            Event(
                event_id=str(n), user_id=user, kind=EventKind(kind), time_s=time_s, item_id=item, value=value
            )
            for n, (user, item, kind, time_s, value) in enumerate(given_rows)
            if user == asked["user_id"]
        ]
        record, _ = apply_events(Record(), events, StateLimits())
        state = read_view(view_of(decode_record(encode_record(record)), StateLimits()))
        found = features_of_states(
            [state],
            now_s=np.array([asked["time_s"]]),
            items=vocabulary,
            durations_s=catalogue.durations_s,
            tags=catalogue.tags,
        )
        expected = np.array([asked[name] for name in USER_FEATURES], dtype=np.float32)
        assert found.values[0].tobytes() == expected.tobytes()
        names = [None if row < 0 else catalogue.tags.names[row] for row in found.tag_rows[0]]
        assert names == [asked[name] for name in TAG_COLUMNS]
        assert found.tag_shares[0].tolist() == [asked[name] for name in SHARE_COLUMNS]


@given(st.lists(rows, max_size=25), st.lists(rows, max_size=10), st.integers(0, 40))
def test_what_comes_later_changes_nothing(past: list[Row], future: list[Row], step: int) -> None:
    moment_s = step * 601.0
    known = [row for row in past if row[3] < moment_s]
    later = [row for row in [*past, *future] if row[3] >= moment_s]

    def until(given_rows: list[Row]) -> tuple[pl.DataFrame, pl.DataFrame]:
        dataset = dataset_of(given_rows)
        choices = choices_of(dataset.interactions, catalogue_of(dataset.items))
        windows = item_windows(plays_of(choices)).filter(pl.col("time_s") <= moment_s)
        return whole_table(dataset).filter(pl.col("time_s") < moment_s), windows

    users, windows = until(known)
    users_with_future, windows_with_future = until([*known, *reversed(later)])
    assert users.equals(users_with_future)
    changed = windows_with_future.filter(pl.col("time_s") <= moment_s // 3_600 * 3_600)
    assert changed.equals(windows.filter(pl.col("time_s") <= moment_s // 3_600 * 3_600))


def test_a_lake_gives_the_features_of_its_data_set_and_nothing_of_who_left_or_was_taken_back(
    tmp_path: Path,
) -> None:
    pytest.importorskip("deltalake")
    rng = np.random.default_rng(0)
    given_rows: list[Row] = [
        (f"u{rng.integers(9)}", "abcd"[rng.integers(4)], "watch", float(rng.integers(10**6)), 0.5)
        for _ in range(200)
    ]
    lake = open_lake(tmp_path / "lake", make=True)
    import_dataset(lake, dataset_of(given_rows))
    taken_back = lake.read("events").filter(pl.col("user_id") == "u2")["event_id"][0]
    back = Event(
        event_id="back", user_id="u2", kind=EventKind.RETRACTION, time_s=5.0, retracts=str(taken_back)
    )
    lake.events.append([back], source="more", upto=1)
    lake.erase("u1", 2e6)
    out = built(tmp_path / "lake", tmp_path / "out", Here(), rows_per_piece=30)
    table = whole_table(lake.dataset())
    assert read(out, "users").equals(table)
    assert "u1" not in table["user_id"]
    assert table.height == sum(row[0] != "u1" for row in given_rows) - 1


@pytest.fixture(scope="module")
def ray_data() -> Iterator[Executor]:
    pytest.importorskip("pyarrow")
    ray_data = pytest.importorskip("deployments.features.ray_data")
    with ray_data.RayData(2) as opened:
        yield opened


@pytest.mark.slow
def test_ray_data_writes_the_very_files_that_polars_writes(tmp_path: Path, ray_data: Executor) -> None:
    rng = np.random.default_rng(1)
    given_rows: list[Row] = [
        (f"u{rng.integers(9)}", "abcd"[rng.integers(4)], "watch", float(rng.integers(10**5)), float(share))
        for share in rng.random(60, dtype=np.float32)
    ]
    save_dataset(dataset_of(given_rows), tmp_path / "data")
    ours = built(tmp_path / "data", tmp_path / "polars", Here())
    theirs = built(tmp_path / "data", tmp_path / "ray", ray_data)
    files = sorted(file.relative_to(ours) for file in ours.rglob("*") if file.is_file())
    assert files == sorted(file.relative_to(theirs) for file in theirs.rglob("*") if file.is_file())
    assert len(files) == 15 + 4 + 1
    for file in files:
        assert (ours / file).read_bytes() == (theirs / file).read_bytes()


@pytest.mark.slow
def test_a_bad_row_is_named_whoever_reads_it(tmp_path: Path, ray_data: Executor) -> None:
    save_dataset(dataset_of([("ada", "a", "watch", 3 * NOW_S, None)]), tmp_path / "data")
    for executor in (Here(), ray_data):
        with pytest.raises(BadRowsError, match=r"row 1, time_s = .* in the future"):
            built(tmp_path / "data", tmp_path / "out", executor)
    assert [file.name for file in tmp_path.iterdir()] == ["data"]
