"""Tests of chance use fixed ids; a perfect hash would fail one such test in a million."""

import uuid
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from recsys.core.errors import FieldError
from recsys.experiments.assignment import arm_rows, assign, assign_many, bucket, buckets

ALPHA = 1e-6
N_CELLS = 100


def counted() -> Iterator[str]:
    yield from (str(n) for n in range(10**7))


def padded() -> Iterator[str]:
    yield from (f"user-{n:012d}" for n in range(10**7))


def random_uuids() -> Iterator[str]:
    rng = np.random.default_rng(1)
    while True:
        yield str(uuid.UUID(bytes=rng.bytes(16), version=4))


def addresses() -> Iterator[str]:
    yield from (f"имя{n % 977}.{n // 977}@example.com" for n in range(10**7))


SHAPES: dict[str, Callable[[], Iterator[str]]] = {
    "counted": counted,
    "padded": padded,
    "random uuids": random_uuids,
    "addresses": addresses,
}


def p_uniform(places: NDArray[np.float64]) -> float:
    """Return the chi-square test's p-value of the buckets over equal cells."""
    counts = np.bincount((places * N_CELLS).astype(np.int64), minlength=N_CELLS)
    return float(stats.chisquare(counts).pvalue)


def p_independent(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return the chi-square test's p-value of two buckets of the same users, in a 10 x 10 table."""
    cells = (first * 10).astype(np.int64) * 10 + (second * 10).astype(np.int64)
    table = np.bincount(cells, minlength=100).reshape(10, 10)
    return float(stats.chi2_contingency(table).pvalue)


@pytest.mark.parametrize("shape", SHAPES)
def test_buckets_of_a_hundred_thousand_ids_are_uniform(shape: str) -> None:
    assert p_uniform(buckets(islice(SHAPES[shape](), 100_000), "ranker", salt="s")) > ALPHA


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_buckets_of_a_million_ids_are_uniform(shape: str) -> None:
    assert p_uniform(buckets(islice(SHAPES[shape](), 1_000_000), "ranker", salt="s")) > ALPHA


@pytest.mark.parametrize(("experiment", "salt"), [("other", "s"), ("ranker", "t"), ("anker", "sr")])
def test_two_experiments_and_two_salts_are_independent(experiment: str, salt: str) -> None:
    ids = list(islice(padded(), 20_000))
    first, second = buckets(ids, "ranker", salt="s"), buckets(ids, experiment, salt=salt)
    assert p_independent(first, second) > ALPHA
    assert not np.array_equal(first, second)


def test_the_tests_of_chance_notice_a_skew_of_two_percent_and_a_shared_salt() -> None:
    places = buckets(islice(counted(), 20_000), "ranker", salt="s")
    assert p_uniform(np.where(places < 0.02, 1 - places, places)) < ALPHA
    assert p_independent(places, places) < ALPHA


def test_a_bucket_stays_the_same_forever() -> None:
    assert bucket("ada", "ranker", salt="s") == KNOWN_BUCKET


KNOWN_BUCKET = 0.7312514685954801


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))), st.text("ab"), st.text("ab"))
def test_many_buckets_are_those_of_each_and_lie_in_0_to_1(ids: list[str], experiment: str, salt: str) -> None:
    places = buckets(ids, experiment, salt=salt)
    assert places.tolist() == [bucket(user_id, experiment, salt=salt) for user_id in ids]
    assert ((places >= 0) & (places < 1)).all()


def test_arms_lie_end_to_end_in_their_order() -> None:
    places = np.array([0.0, 0.4999, 0.5, 0.7499, 0.75, 0.9999])
    assert arm_rows(places, [0.5, 0.25, 0.25]).tolist() == [0, 0, 1, 1, 2, 2]


def test_a_share_of_a_millionth_is_kept_as_it_is() -> None:
    assert arm_rows(np.array([0.0, 0.000_000_9, 0.000_001]), [0.000_001, 0.999_999]).tolist() == [0, 0, 1]


@pytest.mark.parametrize("shares", [(0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)])
def test_an_arm_without_a_share_gets_nobody(shares: tuple[float, ...]) -> None:
    edges = np.array([0.0, 0.5, 1 - 2**-53])
    assert arm_rows(edges, shares).tolist() == [shares.index(1.0)] * 3


def test_shares_of_a_third_leave_nobody_out() -> None:
    assert arm_rows(np.array([1 - 2**-53]), [1 / 3] * 3).tolist() == [2]


@given(st.lists(st.integers(0, 100), min_size=2, max_size=5).filter(any), st.data())
def test_share_given_to_a_neighbour_moves_users_there_and_nobody_else(
    weights: list[int], data: st.DataObject
) -> None:
    shares = [weight / sum(weights) for weight in weights]
    giver = data.draw(st.integers(0, len(shares) - 1))
    taker = data.draw(st.sampled_from([row for row in (giver - 1, giver + 1) if 0 <= row < len(shares)]))
    given_away = data.draw(st.floats(0.0, shares[giver]))
    after = list(shares)
    after[giver], after[taker] = shares[giver] - given_away, shares[taker] + given_away
    near_edges = np.cumsum([shares, after], axis=1).ravel()[:, None] + [-1e-8, 0.0, 1e-8]
    places = np.clip(np.append(near_edges, np.linspace(0, 1, 101)), 0.0, 1 - 2**-53)
    rows_before, rows_after = arm_rows(places, shares), arm_rows(places, after)
    moved = rows_before != rows_after
    assert set(rows_before[moved].tolist()) <= {giver}
    assert set(rows_after[moved].tolist()) <= {taker}


def test_a_canary_that_ramps_up_keeps_everybody_it_has() -> None:
    ids = [f"u{n}" for n in range(10_000)]
    canary: set[str] = set()
    for percent in (1, 5, 25, 50, 100):
        shares = {"stable": 1 - percent / 100, "canary": percent / 100}
        rows = assign_many("rollout", ids, shares, salt="s")
        now = {user_id for user_id, row in zip(ids, rows, strict=True) if row == 1}
        assert canary <= now
        assert stats.binomtest(len(now), len(ids), percent / 100).pvalue > ALPHA
        canary = now
    assert canary == set(ids)


def test_one_user_is_assigned_as_among_many() -> None:
    ids, shares = [f"u{n}" for n in range(200)], {"a": 0.2, "b": 0.3, "c": 0.5}
    rows = assign_many("exp", ids, shares, salt="s")
    assert [assign("exp", user_id, shares, salt="s") for user_id in ids] == ["abc"[row] for row in rows]


@pytest.mark.parametrize(
    "shares", [[], [0.5], [0.5, 0.6], [1.5, -0.5], [float("nan"), 1.0], [float("inf"), 0.0], [0.999, 0.0]]
)
def test_what_are_not_shares_of_1_are_refused(shares: list[float]) -> None:
    with pytest.raises(FieldError, match="shares"):
        arm_rows(np.array([0.5]), shares)
