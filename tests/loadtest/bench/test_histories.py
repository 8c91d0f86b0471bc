from pathlib import Path

from loadtest.bench.histories import histories
from recsys.state.sqlite import SqliteUserState


def test_every_user_has_twenty_items_of_the_catalogue_in_order_of_time(tmp_path: Path) -> None:
    with SqliteUserState(tmp_path / "state.db") as store:
        assert store.fill(histories(3, 50)) == 3
        for state in store.read(["0", "1", "2"]):
            assert len(state.item_ids) == len(state.times_s) == 20
            assert all(0 <= int(item_id) < 50 for item_id in state.item_ids)
            assert sorted(state.times_s.tolist()) == state.times_s.tolist()


def test_the_same_seed_gives_the_same_histories() -> None:
    assert list(histories(5, 50, seed=1)) == list(histories(5, 50, seed=1))
    assert list(histories(5, 50, seed=1)) != list(histories(5, 50, seed=2))
