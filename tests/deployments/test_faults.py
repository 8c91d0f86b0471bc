import asyncio
from random import Random

import numpy as np
import pytest

from deployments.faults import Fault, Faults
from recsys.core.errors import UnavailableError
from recsys.recall.candidates import Candidates

A, B = "a" * 16, "b" * 16
SCORES = np.array([[3.0, 2.0, -np.inf]], dtype=np.float32)
CANDIDATES = Candidates(np.array([[5, 6, 7]], dtype=np.int32), np.zeros((1, 3, 4), dtype=np.int16))


def faults(**fields: float) -> Faults:
    return Faults("recall", {B: Fault.model_validate(fields)}, Random(0))


def test_without_faults_nothing_is_touched() -> None:
    nothing = Faults("recall", {}, Random(0))
    asyncio.run(nothing.before(A))
    assert nothing.named(A, CANDIDATES) is CANDIDATES
    assert nothing.scored(A, SCORES) is SCORES


def test_a_fault_is_of_one_bundle() -> None:
    failing = faults(error_share=1.0, n_candidates=1, shuffled=True)
    asyncio.run(failing.before(A))
    assert failing.named(A, CANDIDATES) is CANDIDATES
    assert failing.scored(A, SCORES) is SCORES


def test_the_share_of_batches_that_was_asked_for_fails() -> None:
    failing = faults(error_share=0.1)

    def fails() -> bool:
        try:
            asyncio.run(failing.before(B))
        except UnavailableError:
            return True
        return False

    assert 20 <= sum(fails() for _ in range(400)) <= 64  # 40 with a deviation of 6; the seed is fixed
    with pytest.raises(UnavailableError, match="a fault on purpose"):
        asyncio.run(faults(error_share=1.0).before(B))


def test_candidates_are_cut_and_scores_shuffled_where_there_are_any() -> None:
    assert faults(n_candidates=2).named(B, CANDIDATES).item_rows.tolist() == [[5, 6]]
    shuffled = faults(shuffled=True).scored(B, SCORES)
    assert np.isneginf(shuffled[0, 2])
    assert ((shuffled[0, :2] >= 0) & (shuffled[0, :2] < 1)).all()
