import polars as pl
import pytest
from pydantic import ValidationError

from recsys.drift.bins import MOST_NAMES, OTHER, Bins, names_of, stretches_of


def test_a_bin_owns_its_upper_edge() -> None:
    placed = Bins(edges=(1.0, 2.0)).place(pl.Series([0.5, 1.0, 1.5, 2.0, 2.5]))
    assert placed.to_list() == [0, 0, 1, 1, 2]


def test_an_unheard_of_name_falls_into_the_last_bin() -> None:
    bins = Bins(names=("home", "feed"))
    assert bins.place(pl.Series(["feed", "search", "home"])).to_list() == [1, 2, 0]
    assert bins.labels == ["home", "feed", OTHER]


def test_rare_names_share_a_bin() -> None:
    values = [f"n{number:02}" for number in range(50) for _ in range(50 - number)]
    bins = names_of(pl.Series(values))
    assert bins.names is not None
    assert (len(bins.names), bins.names[0], bins.names[-1]) == (MOST_NAMES, "n00", "n39")


def test_quantiles_make_bins_of_about_equal_size() -> None:
    values = pl.Series([float(number) for number in range(1, 1_201)])
    placed = stretches_of(values).place(values)
    assert placed.value_counts()["count"].to_list() == [100] * 12


def test_equal_values_stay_in_one_bin() -> None:
    bins = stretches_of(pl.Series([0.0] * 90 + [1.0] * 10))
    assert bins.edges == (0.0,)
    assert bins.labels == ["≤ 0", "> 0"]


def test_a_frequent_value_with_many_digits_is_not_cut_off_from_its_bin() -> None:
    bins = stretches_of(pl.Series([1 / 3] * 90 + [0.9] * 10))
    assert bins.place(pl.Series([1 / 3])).to_list() == [0]


@pytest.mark.parametrize("given", [{}, {"names": ("a",), "edges": (1.0,)}, {"edges": (2.0, 1.0)}])
def test_bins_have_names_or_rising_edges(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Bins.model_validate(given)
