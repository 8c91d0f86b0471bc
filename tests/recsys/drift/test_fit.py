from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from recsys.core.errors import IncompatibleBundleError, NotFoundError
from recsys.data.schema import Dataset
from recsys.drift.coverage import CoverageProfile, fit_coverage, rarefied
from recsys.drift.fit import ProfileConfig, fit_profile, reference_windows
from recsys.drift.item_facts import RANKS, ranks_of
from recsys.drift.profile import load_reference, save_profile
from recsys.drift.rows import rows_of
from recsys.registry.bundle import BundleWriter
from recsys.registry.reader import FolderBundleReader

BundleOf = Callable[[Callable[[BundleWriter], None]], FolderBundleReader]


def test_ranks_go_by_choices_and_ties_by_the_catalogue() -> None:
    items = pl.DataFrame({"item_id": [f"i{row}" for row in range(11)]})
    chosen = pl.DataFrame({"item_id": ["i3"] * 5 + [f"i{row}" for row in range(10)]})
    named = [RANKS[rank] for rank in ranks_of(items, chosen)]
    # i3 is the first of ten: within 10%, so "5-20%"; i0 is the second, i1, i2 and i4 within the upper half
    assert named[3] == named[0] == "5-20%"
    assert {named[row] for row in (1, 2, 4)} == {"20-50%"}
    assert {named[row] for row in range(5, 10)} == {"lower half"}
    assert named[10] == "never chosen"


def test_rows_say_what_is_known_of_the_item_at_that_moment() -> None:
    facts = pl.DataFrame({"item_id": ["a"], "rank": ["top 1%"], "tags": [["x"]], "published_s": [86_400.0]})
    interactions = pl.DataFrame(
        {
            "user_id": ["u", "u"],
            "item_id": ["a", "b"],
            "kind": ["watch", "skip"],
            "time_s": [3 * 86_400.0 + 7_200.0, 0.0],
            "value": [1.0, None],
            "context": ["home", None],
        }
    )
    first, second = rows_of(interactions, facts, 86_400.0).to_dicts()
    assert (first["window"], first["hour"], first["rank"], first["positive"]) == (3, "02", "top 1%", True)
    assert first["age_days"] == pytest.approx(2 + 2 / 24)
    assert (second["context"], second["rank"]) == ("(unknown)", "not in the catalogue")
    assert (second["positive"], second["age_days"]) == (False, None)


def test_the_reference_is_the_latest_windows_and_more_where_users_are_few() -> None:
    times_s = [day + part for day in range(100) for part in (0.0, 0.3, 0.6, 0.95)]  # windows of a second
    frame = pl.DataFrame({"user_id": ["a", "b", "a", "b"] * 100, "time_s": times_s})
    wanted = ProfileConfig(window_s=1.0, n_windows=10, fewest_clusters=20)
    assert reference_windows(frame, wanted) == range(90, 100)
    more = wanted.model_copy(update={"fewest_clusters": 60})
    assert reference_windows(frame, more) == range(70, 100)
    all_of_it = wanted.model_copy(update={"fewest_clusters": 10_000})
    assert reference_windows(frame, all_of_it) == range(40, 100)  # what is before ranks the items


def test_a_profile_is_small_and_comes_back_out_of_a_bundle(simulated: Dataset, bundle_of: BundleOf) -> None:
    profiled = fit_profile(simulated, ProfileConfig(), seed=0)
    assert profiled is not None

    def fill(writer: BundleWriter) -> None:
        save_profile(writer, profiled.profile, profiled.ranks)
        simulated.items.write_parquet(writer.path("catalogue/items.parquet"))

    reader = bundle_of(fill)
    loaded = load_reference(reader)
    assert loaded.profile == profiled.profile
    assert loaded.facts["item_id"].to_list() == simulated.items["item_id"].to_list()
    assert (
        sum(reader.manifest.files[f"drift/{name}"].bytes for name in ("profile.json", "ranks.npy")) < 100_000
    )
    assert {feature.name for feature in loaded.profile.features} >= {"kind", "hour", "tag", "chosen_share"}


def test_the_same_data_and_seed_give_the_same_profile(simulated: Dataset) -> None:
    first, second = (fit_profile(simulated, ProfileConfig(), seed=3) for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.profile == second.profile


def test_data_within_one_window_have_no_profile(simulated: Dataset) -> None:
    first_s = simulated.interactions["time_s"].min()
    hour = simulated.interactions.filter(pl.col("time_s") < pl.lit(first_s) + 3_600.0)
    assert fit_profile(Dataset("an hour", hour, simulated.items), ProfileConfig(), seed=0) is None


def test_a_bundle_without_a_profile_says_so(bundle_of: BundleOf) -> None:
    with pytest.raises(NotFoundError, match="drift profile"):
        load_reference(bundle_of(lambda writer: writer.json("other", 1)))


def test_a_profile_of_another_version_is_refused_by_name(bundle_of: BundleOf) -> None:
    reader = bundle_of(lambda writer: writer.json("drift/profile", {"version": 2}))
    with pytest.raises(IncompatibleBundleError, match="not a profile of version 1"):
        load_reference(reader)


def test_coverage_is_what_few_draws_find() -> None:
    # of 3 + 1 two are drawn: the single one is among them with 1/2, the other kind always
    assert rarefied(np.array([3, 1]), 2) == pytest.approx(1.5)
    assert rarefied(np.array([30, 10]), 1) == pytest.approx(1.0)


def test_coverage_of_a_further_window_lies_within_students_interval() -> None:
    known = CoverageProfile(n_draws=10, mean=8.0, deviation=1.0, n_windows=9)
    # t of 8 degrees of freedom leaves 2.306 on either side at 5%, and 1 + 1/9 of the variance is to come
    assert known.half_width(0.05) == pytest.approx(2.306 * np.sqrt(10 / 9), abs=1e-3)
    assert known.p_value(8.0 + known.half_width(0.05)) == pytest.approx(0.05)


def test_one_window_tells_nothing_of_coverage() -> None:
    assert fit_coverage([np.array([5, 5])]) is None
