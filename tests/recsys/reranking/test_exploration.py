from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.stats import binom

from recsys.features.users import NO_ITEM
from recsys.reranking.exploration import (
    Chance,
    Drawn,
    ExplorationConfig,
    chance_of,
    draw,
    explores,
    propensities,
)
from recsys.reranking.posterior import ItemInterest

ROWS = np.array([10, 11, 12, 13, 14, 15, NO_ITEM], dtype=np.int32)
SCORES = np.array([6, 5, 4, 3, 2, 1, -np.inf], dtype=np.float32)
TOP_THREE = np.array([0, 1, 2], dtype=np.int32)
CONFIG = ExplorationConfig(share=0.5, places=(2, 3), n_choices=2)
INTEREST = ItemInterest(
    np.array([0.0] * 10 + [50, 40, 30, 9, 1, 1], np.float32), np.array([0.0] * 10 + [10.0] * 6, np.float32)
)


def drawn(place: float, item: float, config: ExplorationConfig = CONFIG, **changed: object) -> Drawn:
    arguments = {"listed": TOP_THREE, "item_rows": ROWS, "scores": SCORES, "interest": INTEREST} | changed
    found = draw(config=config, chance=Chance(place, item), **arguments)  # type: ignore[arg-type]
    assert found is not None
    return found


def test_epsilon_gives_the_rankings_own_item_and_those_ranked_next_the_same_chance() -> None:
    found = drawn(0.0, 0.0)
    assert (found.column, found.choices.tolist(), found.chosen) == (1, [1, 3, 4], 0)
    assert found.chances == pytest.approx([1 / 3] * 3)
    assert drawn(0.5, 0.5).column == 2
    assert [drawn(0.0, item).chosen for item in (0.2, 0.4, 0.7, 1.0 - 2**-53)] == [0, 1, 2, 2]


def test_the_pool_of_new_items_holds_those_with_the_fewest_interactions_the_better_ranked_first() -> None:
    found = drawn(0.0, 0.0, CONFIG.model_copy(update={"pool": "new"}))
    assert found.choices.tolist() == [1, 4, 5]


def test_thompson_prefers_what_is_chosen_often_and_keeps_everything_within_reach() -> None:
    config = ExplorationConfig(places=(1,), method="thompson", n_choices=3, uniform_share=0.3)
    found = drawn(0.0, 0.0, config)
    assert found.choices.tolist() == [0, 3, 4, 5]
    own, often, rarely, as_rarely = found.chances
    assert own == pytest.approx(1 / 4)
    assert often > 0.5
    assert rarely == pytest.approx(as_rarely)
    assert rarely >= 3 / 4 * 0.3 / 3
    assert found.chances.sum() == pytest.approx(1.0)


def test_the_propensities_can_be_counted_by_hand() -> None:
    # One list in two explores, one place of two is drawn, one choice of three is taken: 1/12 each.
    assert propensities(3, 6, 0.5, CONFIG).tolist() == pytest.approx([1.0, 3 / 4 + 1 / 12, 3 / 4 + 1 / 12])
    other = propensities(3, 6, 0.5, CONFIG, drawn(0.0, 0.5))
    assert other.tolist() == pytest.approx([1.0, 1 / 12, 3 / 4 + 1 / 12])
    own = propensities(3, 6, 0.5, CONFIG, drawn(0.0, 0.0))
    assert own.tolist() == propensities(3, 6, 0.5, CONFIG).tolist()


@pytest.mark.parametrize(
    ("listed", "places"),
    [(TOP_THREE, (4,)), (np.arange(6, dtype=np.int32), (2,)), (np.zeros(0, dtype=np.int32), (1,))],
)
def test_without_an_open_place_or_another_item_nothing_is_left_to_chance(
    listed: NDArray[np.int32], places: tuple[int, ...]
) -> None:
    config = ExplorationConfig(share=1.0, places=places)
    assert draw(listed, ROWS, SCORES, config, Chance(0.0, 0.5)) is None
    assert propensities(len(listed), 6, 1.0, config).tolist() == [1.0] * len(listed)


def test_a_request_has_one_chance_and_its_share_of_lists_explore() -> None:
    assert chance_of("r1") == chance_of("r1") != chance_of("r2")
    n = sum(explores(f"r{number}", 0.1) for number in range(5_000))
    assert binom.ppf(1e-6, 5_000, 0.1) <= n <= binom.isf(1e-6, 5_000, 0.1)
    assert not any(explores(f"r{number}", 0.0) for number in range(100))
    assert all(explores(f"r{number}", 1.0) for number in range(100))


@pytest.mark.parametrize("method", ["epsilon", "thompson"])
def test_each_item_stands_at_each_place_as_often_as_its_propensity_says(method: str) -> None:
    config = ExplorationConfig.model_validate(
        {"share": 0.5, "places": (2, 3), "n_choices": 3, "method": method, "uniform_share": 0.5}
    )
    n = 20_000
    counts: Counter[tuple[int, int]] = Counter()
    said: dict[tuple[int, int], float] = {}
    for number in range(n):
        request_id = f"{method}-{number}"
        shown = TOP_THREE.copy()
        found = None
        if explores(request_id, config.share):
            found = draw(TOP_THREE, ROWS, SCORES, config, chance_of(request_id), INTEREST)
            assert found is not None
            shown[found.column] = found.choices[found.chosen]
        odds = propensities(3, 6, config.share, config, found)
        for place, (column, chance) in enumerate(zip(shown.tolist(), odds.tolist(), strict=True)):
            counts[place, column] += 1
            assert said.setdefault((place, column), chance) == pytest.approx(chance)
    assert said.keys() == {(0, 0)} | set(product([1], [1, 3, 4, 5])) | set(product([2], [2, 3, 4, 5]))
    for where, chance in said.items():  # nine places, two sides: one false alarm in 50,000
        assert binom.ppf(1e-6, n, chance) <= counts[where] <= binom.isf(1e-6, n, chance), where


@st.composite
def situations(draw: st.DrawFn) -> tuple[NDArray[np.float32], int, ExplorationConfig, Chance]:
    size = draw(st.integers(1, 15))
    scores = draw(st.lists(st.floats(-5, 5, width=32), min_size=size, max_size=size))
    config = ExplorationConfig(
        share=draw(st.floats(0.0, 1.0)),
        places=tuple(sorted(draw(st.sets(st.integers(1, 12), min_size=1, max_size=4)))),
        method=draw(st.sampled_from(["epsilon", "thompson"])),
        pool=draw(st.sampled_from(["ranked", "new"])),
        n_choices=draw(st.integers(1, 10)),
    )
    below_one = st.floats(0.0, 1.0, exclude_max=True)
    chance = Chance(draw(below_one), draw(below_one))
    return np.array(scores, dtype=np.float32), draw(st.integers(1, size)), config, chance


@given(situations())
def test_no_item_comes_twice_and_every_propensity_is_a_chance(
    situation: tuple[NDArray[np.float32], int, ExplorationConfig, Chance],
) -> None:
    scores, n, config, chance = situation
    rows = np.arange(len(scores), dtype=np.int32)
    listed = np.argsort(-scores, kind="stable")[:n].astype(np.int32)
    counts = np.arange(len(scores), dtype=np.float32)
    found = draw(listed, rows, scores, config, chance, ItemInterest(counts, counts + 1))
    odds = propensities(n, len(scores), config.share, config, found)
    assert odds.shape == (n,)
    assert (odds >= 0).all()
    assert (odds <= 1).all()
    if found is None:
        return
    shown = listed.copy()
    shown[found.column] = found.choices[found.chosen]
    assert len(set(shown.tolist())) == n
    assert found.choices[0] == listed[found.column]
    assert not set(found.choices[1:].tolist()) & set(listed.tolist())
    assert len(found.choices) <= config.n_choices + 1
    assert found.chances.sum() == pytest.approx(1.0)
    assert (found.chances > 0).all()


def test_nonsense_is_refused() -> None:
    for wrong in ({"places": ()}, {"places": (3, 2)}, {"places": (0,)}, {"share": 1.5}, {"epsilon": 0.1}):
        with pytest.raises(ValidationError):
            ExplorationConfig.model_validate(wrong)


def test_off_by_default() -> None:
    assert ExplorationConfig().share == 0.0
