import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.core.errors import FieldError
from recsys.experiments.corrections import benjamini_hochberg, holm

p_values = st.lists(st.floats(0, 1), max_size=20)


def test_holm_multiplies_the_smallest_by_all_and_the_next_by_one_less() -> None:
    np.testing.assert_allclose(holm([0.03, 0.005, 0.5]), [0.06, 0.015, 0.5])


def test_what_is_unknown_is_no_comparison() -> None:
    np.testing.assert_allclose(holm([np.nan, 0.02, 0.5]), [np.nan, 0.04, 0.5])
    np.testing.assert_allclose(benjamini_hochberg([np.nan, 0.02, 0.5]), [np.nan, 0.04, 0.5])
    assert np.isnan(benjamini_hochberg([np.nan])).all()
    assert holm([]).size == 0


@given(p_values)
def test_a_correction_keeps_the_order_and_makes_nothing_smaller(p: list[float]) -> None:
    for correct in (holm, benjamini_hochberg):
        corrected = correct(p)
        order = np.argsort(p, kind="stable")
        assert (np.diff(corrected[order]) >= 0.0).all()
        assert (corrected >= np.asarray(p) * (1 - 1e-12)).all()
        assert (corrected <= 1.0).all()
    assert (holm(p) >= benjamini_hochberg(p) * (1 - 1e-12)).all()


def test_a_p_value_beyond_one_is_refused() -> None:
    with pytest.raises(FieldError):
        holm([1.1])
