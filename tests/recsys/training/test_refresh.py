from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys.core.errors import InputError
from recsys.data.log import InteractionLog, Vocabulary, encode
from recsys.data.schema import Dataset
from recsys.features.users import UserBatch, batch_at
from recsys.pipeline.stages import TwoStage
from recsys.ranking.boosting import BoostingConfig
from recsys.ranking.matrix import FEATURE_SCHEMA, KnowledgeConfig
from recsys.recall.sequential import SequentialConfig, fit_sequential
from recsys.recall.sources import RecallConfig
from recsys.recall.svd import SvdConfig
from recsys.registry.local import LocalRegistry
from recsys.registry.reader import open_bundle
from recsys.registry.store import Registry
from recsys.training import refresh as module
from recsys.training.cross_fit import CrossFitConfig
from recsys.training.data_checks import DataRefusedError
from recsys.training.gate import GateClosedError
from recsys.training.kept_sums import kept_sums, open_sums, sums_of
from recsys.training.refresh import RefreshConfig, Refreshed, read_parent, refresh
from recsys.training.train import train
from recsys.training.two_stage import TrainingConfig
from tests.small import BILINEAR

TINY = TrainingConfig(
    knowledge=KnowledgeConfig(
        recall=RecallConfig(
            bilinear=BILINEAR,
            sequential=SequentialConfig(min_events=2, rank=8, ridge=5.0),
            svd=SvdConfig(n_factors=4),
        )
    ),
    cross_fit=CrossFitConfig(n_folds=2, min_positions=3, max_positions=3, n_candidates=20),
    boosting=BoostingConfig(n_trees=10, max_depth=3, learning_rate=0.3),
    n_candidates=20,
)
NOW_S = 2e9
NO_GATE = RefreshConfig(gate=None)


@dataclass
class Place:
    """A registry with its sums."""

    registry: LocalRegistry
    sums: Registry

    def refresh(
        self, dataset: Dataset, ref: str | None, config: RefreshConfig = NO_GATE, key: str = "k"
    ) -> Refreshed:
        parent = None if ref is None else read_parent(self.registry, self.sums, ref, None)
        return refresh(dataset, self.registry, self.sums, parent, TINY, config, key=key, now_s=NOW_S)

    def model(self, name: str) -> TwoStage:
        return TwoStage.load(open_bundle(self.registry.get(name), feature_schema=FEATURE_SCHEMA))

    def meta(self, name: str) -> dict[str, object]:
        return dict(open_bundle(self.registry.get(name), feature_schema=None).manifest.meta)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(LocalRegistry(tmp_path / "registry"), open_sums(tmp_path / "registry"))


@pytest.fixture(scope="module")
def yesterday(simulated: Dataset) -> Dataset:
    """The oldest nine tenths of the events, and a catalogue without the two newest rows."""
    items = simulated.items.head(simulated.items.height - 2)
    interactions = simulated.interactions.sort("time_s").head(int(0.9 * simulated.interactions.height))
    return Dataset("yesterday", interactions, items)


def log_of(dataset: Dataset) -> InteractionLog:
    return encode(dataset, Vocabulary(dataset.items["item_id"].to_list()))


def last_moments(log: InteractionLog) -> UserBatch:
    stops = log.offsets[1:] - 1
    return batch_at(log, np.arange(log.n_users), stops, log.times_s[stops])


def test_a_refreshed_bundle_has_the_recall_of_a_full_fit_and_the_ranker_of_its_parent(
    place: Place, simulated: Dataset, yesterday: Dataset
) -> None:
    first = place.refresh(yesterday, None)
    second = place.refresh(simulated, first.bundle.name)
    model, log = place.model(second.bundle.name), log_of(simulated)
    whole = fit_sequential(log, TINY.knowledge.recall.sequential)
    assert np.abs(model.recall.sources.sequential.exact.quanta - whole.exact.quanta).max() <= 1
    assert np.allclose(model.recall.sources.sequential.exact.scales, whole.exact.scales, rtol=1e-4)
    users = last_moments(log)
    rows = np.tile(np.arange(20, dtype=np.int32), (log.n_users, 1))
    assert np.allclose(
        model.recall.sources.sequential.score(users, rows), whole.score(users, rows), atol=1e-4
    )
    rankers = [place.model(one.bundle.name).ranking.ranker.booster.save_raw() for one in (first, second)]
    assert rankers[0] == rankers[1]


def test_the_manifest_names_the_parent_and_what_was_different(
    place: Place, simulated: Dataset, yesterday: Dataset
) -> None:
    first = place.refresh(yesterday, None)
    assert "parent" not in place.meta(first.bundle.name)
    second = place.refresh(simulated, first.bundle.name)
    meta = place.meta(second.bundle.name)
    assert (meta["parent"], meta["ranker_from"]) == (first.bundle.name, first.bundle.name)
    assert second.difference is not None
    n_new = len(log_of(simulated).item_rows) - len(log_of(yesterday).item_rows)
    assert second.difference.n_added - second.difference.n_removed == n_new > 0
    assert meta["refresh"] == {
        name: getattr(second.difference, name) for name in ("n_users", "n_added", "n_removed", "n_joined")
    }


def test_an_erased_person_leaves_the_bundle_that_one_fitted_without_them_would_be(
    place: Place, simulated: Dataset
) -> None:
    gone = log_of(simulated).user_ids[3]
    others = Dataset("others", simulated.interactions.filter(pl.col("user_id") != gone), simulated.items)
    first = place.refresh(simulated, None)
    without = place.refresh(others, first.bundle.name)
    assert without.difference is not None
    assert (without.difference.n_users, without.difference.n_added) == (1, 0)
    assert without.difference.n_removed == log_of(simulated).lengths[3]
    source, whole = (
        place.model(without.bundle.name).recall.sources.sequential,
        fit_sequential(log_of(others), TINY.knowledge.recall.sequential),
    )
    assert np.abs(source.exact.quanta - whole.exact.quanta).max() <= 1


def test_a_bundle_without_sums_is_refreshed_by_counting_everything(
    place: Place, simulated: Dataset, yesterday: Dataset
) -> None:
    trained = train(yesterday, place.registry, TINY, key="t", now_s=NOW_S).bundle.name
    assert sums_of(place.sums, trained, TINY.knowledge.recall.sequential) is None
    first = place.refresh(simulated, trained)
    assert first.difference is None
    second = place.refresh(simulated, first.bundle.name)
    assert second.difference is not None
    assert second.difference.n_users == 0
    assert (second.bundle.name, second.bundle.is_new) == (first.bundle.name, False)


def test_settings_that_make_other_sums_are_counted_anew(
    place: Place, simulated: Dataset, yesterday: Dataset
) -> None:
    first = place.refresh(yesterday, None)
    knowledge = TINY.knowledge.model_copy(
        update={"recall": TINY.knowledge.recall.model_copy(update={"sequential": FORGETTING})}
    )
    other = TINY.model_copy(update={"knowledge": knowledge})
    parent = read_parent(place.registry, place.sums, first.bundle.name, other)
    assert parent.sums is None
    done = refresh(simulated, place.registry, place.sums, parent, other, NO_GATE, key="k", now_s=NOW_S)
    assert done.difference is None
    assert sums_of(place.sums, done.bundle.name, FORGETTING) is not None


FORGETTING = SequentialConfig(min_events=2, rank=8, ridge=5.0, half_life_days=10.0)


def test_sums_of_bundles_that_no_channel_names_are_removed(
    place: Place, simulated: Dataset, yesterday: Dataset
) -> None:
    first = place.refresh(yesterday, None).bundle.name
    place.registry.promote(first, "stable", expected=None, by="me", now_s=NOW_S)
    second = place.refresh(simulated, "stable").bundle.name
    assert {info.manifest and info.manifest.meta["bundle"] for info in kept_sums(place.sums)} == {
        first,
        second,
    }
    most = Dataset("most", simulated.interactions.head(simulated.interactions.height - 50), simulated.items)
    third = place.refresh(most, "stable").bundle.name
    assert {info.manifest and info.manifest.meta["bundle"] for info in kept_sums(place.sums)} == {
        first,
        third,
    }


def test_who_is_killed_before_the_sums_are_kept_leaves_a_bundle_that_can_be_refreshed(
    place: Place, simulated: Dataset, yesterday: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = place.refresh(yesterday, None).bundle.name
    place.registry.promote(first, "stable", expected=None, by="me", now_s=NOW_S)
    with monkeypatch.context() as patched:
        patched.setattr(module, "keep_sums", failing)
        with pytest.raises(OSError, match="no space"):
            place.refresh(simulated, "stable")
    second = next(info.name for info in place.registry.list() if info.name != first)
    assert place.registry.channels().stable == first
    assert place.refresh(simulated, second).difference is None
    again = place.refresh(simulated, "stable").difference
    assert again is not None


def failing(*_: object, **__: object) -> None:
    raise OSError("no space left on device")


def test_a_refresh_that_fails_before_the_bundle_leaves_the_old_one_alone(
    place: Place, simulated: Dataset, yesterday: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = place.refresh(yesterday, None).bundle.name
    kept = [info.name for info in kept_sums(place.sums)]
    with monkeypatch.context() as patched:
        patched.setattr(module, "assembled", failing)
        with pytest.raises(OSError, match="no space"):
            place.refresh(simulated, first)
    assert [info.name for info in place.registry.list()] == [first]
    assert [info.name for info in kept_sums(place.sums)] == kept


def test_the_gate_asks_recall_that_has_not_seen_the_answers(
    place: Place, simulated: Dataset, yesterday: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = place.refresh(yesterday, None).bundle.name
    fitted: list[int] = []
    pipeline = module.pipeline_over

    def noted(log: InteractionLog, *rest: object) -> TwoStage:
        fitted.append(len(log.item_rows))
        call: Callable[..., TwoStage] = pipeline
        return call(log, *rest)

    monkeypatch.setattr(module, "pipeline_over", noted)
    done = place.refresh(simulated, first, RefreshConfig())
    assert set(done.gate) == {"popularity", "recent-popularity", "two-stage"}
    assert done.gate["two-stage"] > 0.0
    assert place.meta(done.bundle.name)["gate"] == done.gate
    n_all, n_users = len(log_of(simulated).item_rows), log_of(simulated).n_users
    assert fitted[1] == n_all
    assert n_all - n_users <= fitted[0] < n_all


def test_a_gate_that_stays_closed_publishes_nothing(
    place: Place, simulated: Dataset, yesterday: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = place.refresh(yesterday, None).bundle.name

    def closed(*_: object, **__: object) -> None:
        raise GateClosedError("popularity", "ndcg@10", -0.2, -0.1)

    monkeypatch.setattr(module, "pass_with", closed)
    with pytest.raises(GateClosedError):
        place.refresh(simulated, first, RefreshConfig())
    assert [info.name for info in place.registry.list()] == [first]


def test_new_trees_are_grown_when_asked_for(place: Place, simulated: Dataset, yesterday: Dataset) -> None:
    first = place.refresh(yesterday, None).bundle.name
    done = place.refresh(simulated, first, RefreshConfig(gate=None, ranker="refit")).bundle.name
    assert "ranker_from" not in place.meta(done)
    assert (
        place.model(first).ranking.ranker.booster.save_raw()
        != place.model(done).ranking.ranker.booster.save_raw()
    )


def test_trees_are_added_to_a_ranker_for_what_is_new_until_there_are_enough(
    place: Place, simulated: Dataset, yesterday: Dataset
) -> None:
    first = place.refresh(yesterday, None).bundle.name
    more = RefreshConfig(gate=None, ranker="continue", more_trees=4, most_trees=14)
    second = place.refresh(simulated, first, more).bundle.name
    third = place.refresh(simulated, second, more).bundle.name
    boosters = [place.model(name).ranking.ranker.booster for name in (first, second, third)]
    assert [booster.num_boosted_rounds() for booster in boosters] == [10, 14, 14]
    trees = [booster.get_dump() for booster in boosters]
    assert trees[1][:10] == trees[0]
    assert place.meta(second)["ranker_from"] == first
    assert place.meta(third)["ranker_from"] == first


def test_where_nothing_is_new_no_tree_is_added(place: Place, simulated: Dataset) -> None:
    first = place.refresh(simulated, None).bundle.name
    more = RefreshConfig(gate=None, ranker="continue")
    again = place.refresh(simulated, first, more).bundle.name
    assert place.model(again).ranking.ranker.n_trees == 10


def test_data_that_have_lost_half_of_their_events_are_refused(place: Place, simulated: Dataset) -> None:
    first = place.refresh(simulated, None).bundle.name
    half = Dataset("half", simulated.interactions.head(simulated.interactions.height // 2), simulated.items)
    with pytest.raises(DataRefusedError, match=r"positions gone since the last bundle is 0\.[45]"):
        place.refresh(half, first)


def test_data_of_unknown_items_are_refused_by_name(place: Place, simulated: Dataset) -> None:
    strange = simulated.interactions.with_columns(item_id="x" + pl.col("item_id"))
    mixed = Dataset("mixed", pl.concat([simulated.interactions, strange]), simulated.items)
    with pytest.raises(DataRefusedError, match="items that the catalogue lacks"):
        place.refresh(mixed, None)
    with pytest.raises(InputError, match="no positive interaction"):
        place.refresh(Dataset("strange", strange, simulated.items), None)


def test_a_bundle_whose_settings_are_unknown_needs_a_config(place: Place) -> None:
    trained = place.registry.publish(
        lambda writer: writer.json("x", 1), feature_schema=FEATURE_SCHEMA, created_s=0.0, meta={}
    )
    with pytest.raises(InputError, match="give --config"):
        read_parent(place.registry, place.sums, trained.name, None)
