from pathlib import Path

import numpy as np
import pytest

from recsys.core.errors import DataFormatError
from recsys.data.formats import load_dataset
from recsys.simulation.reader import world_of


def test_the_world_behind_a_folder_is_the_one_that_was_played(simulated_folder: Path) -> None:
    world = world_of(simulated_folder)
    dataset = load_dataset(simulated_folder, now_s=2e9).dataset
    assert (world.n_users, world.catalogue.n_items, world.seed) == (120, 60, 7)
    assert dataset.items["title"].to_list() == list(world.catalogue.titles)
    watched = dataset.interactions.filter(dataset.interactions["kind"] == "watch")
    users = watched["user_id"].str.slice(1).cast(int).to_numpy()
    items = watched["item_id"].str.slice(1).cast(int).to_numpy()
    blind = np.random.default_rng(0).permutation(items)
    time_s = world.scenario.starts_s
    assert world.affinity(users, items, time_s).mean() > world.affinity(users, blind, time_s).mean() + 0.1


@pytest.mark.parametrize(
    "text", ["", "{}", '{"scenario": 3, "seed": 7}', '{"scenario": {"name": "x"}, "seed": 7}']
)
def test_a_folder_without_a_world_is_told_so(text: str, tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(DataFormatError, match="scenario"):
        world_of(tmp_path)


def test_a_folder_that_is_not_there_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError):
        world_of(tmp_path / "nowhere")
