from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from recsys.core.pseudonyms import Pseudonyms
from recsys.data.schema import INTERACTIONS
from recsys.state.seeding import seed_state
from recsys.state.sqlite import SqliteUserState

INSIDE = Pseudonyms(b"k" * 32).of


@pytest.mark.parametrize("name", [str, INSIDE], ids=["own names", "pseudonyms"])
def test_users_of_the_data_are_known_by_what_they_are_called_inside(
    tmp_path: Path, name: Callable[[str], str]
) -> None:
    rows = {
        "user_id": ["ada", "bob"],
        "item_id": ["a", "b"],
        "kind": ["watch", "watch"],
        "time_s": [1.0, 2.0],
        "value": [0.5, None],
    }
    columns = {column: of for column, of in INTERACTIONS.items() if column in rows}
    with SqliteUserState(tmp_path / "state.db") as state:
        assert seed_state(pl.DataFrame(rows, schema=columns), state, name=name) == 2
        assert [one.item_ids for one in state.read([name("ada"), name("bob")])] == [("a",), ("b",)]
        watched = state.read([name("ada")])[0].watched
        assert watched is not None
        assert watched.tolist() == [0.5]
        assert state.named(["ada", "bob"]) == (2 if name is str else 0)
