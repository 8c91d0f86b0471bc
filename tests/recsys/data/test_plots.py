from pathlib import Path

import polars as pl
import pytest

from recsys.data.schema import INTERACTIONS, ITEMS, Dataset

pytest.importorskip("matplotlib", reason="the extra 'plots' is not installed")

from recsys.data.plots import draw

NAMES = ["events_over_time.png", "items_by_popularity.png", "history_lengths.png", "kinds.png"]


@pytest.mark.parametrize("n", [0, 1, 300])
def test_every_plot_is_drawn_whatever_the_size(tmp_path: Path, n: int) -> None:
    rows = [(f"u{i % 7}", f"i{i % 13}", "watch", 86_400.0 * i, None, None) for i in range(n)]
    items: list[tuple[object, ...]] = [(f"i{i}", None, [], None, None, None, None, True) for i in range(13)]
    dataset = Dataset(
        "x",
        pl.DataFrame(rows, schema=INTERACTIONS, orient="row"),
        pl.DataFrame(items, schema=ITEMS, orient="row"),
    )
    files = draw(dataset, tmp_path / "plots")
    assert [file.name for file in files] == NAMES
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in files)
