import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from recsys.features.users import NO_ITEM
from recsys.recall.next_weights import NextWeights, none_kept, quantised

N_HEAD, N_ITEMS = 5, 8
ITEMS_OF = np.array([0, 2, 3, 5, 7], dtype=np.int32)
HEAD_OF = np.full(N_ITEMS, N_HEAD, dtype=np.int32)
HEAD_OF[ITEMS_OF] = np.arange(N_HEAD)
DECAYS = (np.array([1.0, 0.5], dtype=np.float32), np.array([1.0, 0.9, 0.8], dtype=np.float32))


def weights(seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((2, N_HEAD, N_HEAD)).astype(np.float32)


def kept(seed: int) -> NextWeights:
    return quantised(weights(seed), HEAD_OF, ITEMS_OF)


def test_a_weight_is_kept_to_half_a_step_of_its_row() -> None:
    known = kept(0)
    back = known.quanta.astype(np.float32) * known.scales[:, :, None]
    steps = np.abs(weights(0)).max(axis=2, keepdims=True) / 32_767
    assert (np.abs(back[:, :-1, :-1] - weights(0)) <= 0.501 * steps).all()
    assert not back[:, -1].any()
    assert not back[:, :, -1].any()


def test_weights_of_nothing_but_zeros_stay_zeros() -> None:
    known = quantised(np.zeros((2, N_HEAD, N_HEAD), dtype=np.float32), HEAD_OF, ITEMS_OF)
    assert not known.quanta.any()


@given(st.integers(0, 1_000), st.lists(st.integers(0, N_ITEMS - 1), max_size=4), st.integers(1, 9))
def test_search_names_what_has_the_largest_scores_of_all(seed: int, history: list[int], n: int) -> None:
    known = kept(seed)
    rows = np.array([[*history, *[NO_ITEM] * (4 - len(history))]], dtype=np.int32)
    blocked = np.zeros((1, N_ITEMS), dtype=np.bool_)
    blocked[0, 2] = True
    found = known.search(rows, DECAYS, blocked, n)
    if not set(history[:3]) & set(ITEMS_OF.tolist()):  # no sum looks further back
        assert (found.item_rows == NO_ITEM).all()
        return
    wanted = ITEMS_OF[ITEMS_OF != 2][None, :]
    scores = sum(known.score(rows, decay, which, wanted) for which, decay in enumerate(DECAYS))
    best = np.argsort(-np.asarray(scores)[0], kind="stable")[:n]
    n_named = min(n, 4)
    assert found.item_rows[0, :n_named].tolist() == wanted[0, best].tolist()
    assert np.allclose(found.scores[0, :n_named], np.asarray(scores)[0, best], atol=1e-5)
    assert (found.item_rows[0, n_named:] == NO_ITEM).all()


def test_items_that_take_no_part_and_padding_score_nothing() -> None:
    rows = np.array([[0, 1, NO_ITEM]], dtype=np.int32)
    scores = kept(3).score(rows, DECAYS[0], 0, np.array([[1, 4, NO_ITEM, 0]], dtype=np.int32))
    assert scores[0, :3].tolist() == [0.0, 0.0, 0.0]
    assert scores[0, 3] != 0.0


def test_where_none_are_kept_there_are_none() -> None:
    assert kept(0).kept
    assert not none_kept(2, HEAD_OF, ITEMS_OF).kept
