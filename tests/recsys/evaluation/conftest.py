from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys.data.log import InteractionLog
from recsys.data.schema import ITEMS

LogOf = Callable[[list[list[tuple[int, float]]], int], InteractionLog]


@pytest.fixture
def log_of() -> LogOf:
    """Make a log of one history per user, each a list of (item row, time), old to new."""

    def make(histories: list[list[tuple[int, float]]], n_items: int) -> InteractionLog:
        flat = [pair for history in histories for pair in history]
        return InteractionLog(
            np.concatenate([[0], np.cumsum([len(history) for history in histories])]).astype(np.int64),
            np.array([item for item, _ in flat], dtype=np.int32),
            np.array([time_s for _, time_s in flat], dtype=np.float64),
            np.zeros(len(flat), dtype=np.int16),
            tuple(f"u{user}" for user in range(len(histories))),
            (),
            n_items,
        )

    return make


@pytest.fixture
def catalogue_of() -> Callable[[list[list[str]]], pl.DataFrame]:
    """Make a catalogue of the tags of each item."""

    def make(tags: list[list[str]]) -> pl.DataFrame:
        empty = pl.DataFrame(schema=ITEMS)
        rows = pl.DataFrame(
            {
                "item_id": [str(row) for row in range(len(tags))],
                "tags": tags,
                "available": [True] * len(tags),
            },
            schema={name: ITEMS[name] for name in ("item_id", "tags", "available")},
        )
        return pl.concat([empty, rows], how="diagonal")

    return make


@pytest.fixture
def real_data() -> Path:
    """Folder of the real data sets that lie beside the project."""
    folder = Path(__file__).parents[4] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no ../shared/data beside the project: real data sets are not at hand")
    return folder
