from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys.core.errors import InputError, UnavailableError
from recsys.data.impressions import impressions_of
from recsys.data.log import InteractionLog, Vocabulary, encode
from recsys.data.schema import Dataset
from recsys.drift.profile import load_reference
from recsys.features.users import UserBatch, batch_at
from recsys.pipeline.stages import TwoStage
from recsys.ranking.boosting import BoostingConfig
from recsys.ranking.matrix import FEATURE_SCHEMA, KnowledgeConfig
from recsys.ranking.targets import TargetsConfig
from recsys.recall.sequential import SequentialConfig
from recsys.recall.sources import RecallConfig
from recsys.recall.svd import SvdConfig
from recsys.registry.local import LocalRegistry
from recsys.registry.reader import open_bundle
from recsys.training.cross_fit import CrossFitConfig
from recsys.training.train import Trained, find_trained, train, training_key
from recsys.training.two_stage import TrainingConfig, fit_two_stage
from tests.small import BILINEAR

LogOf = Callable[..., InteractionLog]
CatalogueOf = Callable[..., pl.DataFrame]

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
KEY = "0123456789abcdef"
N_GROUPS, N_STEPS = 8, 5


def walk(rng: np.random.Generator) -> list[int]:
    """Return the latter part of a round through five items in a fixed order, and a hit now and then."""
    start, group = int(rng.integers(N_STEPS)), int(rng.integers(N_GROUPS))
    steps = [group * N_STEPS + (start + step) % N_STEPS for step in range(N_STEPS)]
    hits = [N_GROUPS * N_STEPS + int(row) for row in rng.permutation(6)[:3]]
    return [*hits, *steps]


@pytest.fixture(scope="module")
def model(log_of: LogOf, catalogue_of: CatalogueOf) -> tuple[TwoStage, InteractionLog]:
    """Return a pipeline that knows all but the last item of each walk, and the walks."""
    rng = np.random.default_rng(0)
    log = log_of([walk(rng) for _ in range(150)], N_GROUPS * N_STEPS + 6)
    past = log.select(np.arange(len(log.item_rows)) != np.repeat(log.offsets[1:] - 1, log.lengths))
    return fit_two_stage(past, catalogue_of(log.n_items), TINY), log


def last_steps(log: InteractionLog) -> UserBatch:
    users = np.arange(log.n_users)
    stops = log.offsets[1:] - 1
    return batch_at(log, users, stops, log.times_s[stops])


def test_the_next_step_of_a_walk_is_found_where_popularity_cannot(
    model: tuple[TwoStage, InteractionLog],
) -> None:
    pipeline, log = model
    users = last_steps(log)
    truth = log.item_rows[log.offsets[1:] - 1][:, None]
    popular = pipeline.recall.sources.popularity.search(users, 1, users.blocked(log.n_items)).item_rows
    found = float((pipeline.top(users, 1) == truth).mean())
    assert found > 0.8
    assert float((popular == truth).mean()) < 0.2


def test_popular_items_of_the_catalogue_come_in_order_and_are_available(
    simulated: Dataset,
) -> None:
    gone = simulated.items["item_id"][0]
    items = simulated.items.with_columns(available=pl.col("item_id") != gone)
    log = encode(simulated, Vocabulary(items["item_id"].to_list()))
    catalogue = fit_two_stage(log, items, TINY).recall.catalogue
    assert sorted(catalogue.popular_rows.tolist()) == list(range(1, items.height))
    counts = np.bincount(log.item_rows, minlength=log.n_items)
    assert counts[catalogue.popular_rows[:10]].mean() > 2 * counts[catalogue.popular_rows[-10:]].mean()


def test_a_log_that_teaches_the_ranker_nothing_still_gives_recommendations(
    log_of: LogOf, catalogue_of: CatalogueOf, users_of: Callable[..., UserBatch]
) -> None:
    pipeline = fit_two_stage(log_of([[0], [1], [1]], 4), catalogue_of(4), TINY)
    assert pipeline.top(users_of([[]]), 2).tolist() == [[1, 0]]  # the popular ones, in order


def test_one_seed_gives_one_pipeline(
    model: tuple[TwoStage, InteractionLog], catalogue_of: CatalogueOf
) -> None:
    pipeline, log = model
    past = log.select(np.arange(len(log.item_rows)) != np.repeat(log.offsets[1:] - 1, log.lengths))
    again = fit_two_stage(past, catalogue_of(log.n_items), TINY)
    one, other = (each.recommend(last_steps(log), 5)[1] for each in (pipeline, again))
    assert np.array_equal(one.item_rows, other.item_rows)
    assert np.array_equal(one.scores, other.scores)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> LocalRegistry:
    return LocalRegistry(tmp_path_factory.mktemp("registry"))


@pytest.fixture(scope="module")
def trained(registry: LocalRegistry, simulated: Dataset) -> Trained:
    return train(simulated, registry, TINY, key=KEY, now_s=1_000.0)


def test_the_bundle_recommends_what_the_fitted_pipeline_recommends(
    registry: LocalRegistry, trained: Trained, simulated: Dataset
) -> None:
    reader = open_bundle(registry.get(trained.bundle.name), feature_schema=FEATURE_SCHEMA)
    log = encode(simulated, Vocabulary(simulated.items["item_id"].to_list()))
    users = last_steps(log)
    one, other = (each.recommend(users, 10)[1] for each in (trained.model, TwoStage.load(reader)))
    assert np.array_equal(one.item_rows, other.item_rows)
    assert np.array_equal(one.scores, other.scores)


def test_the_manifest_says_what_it_was_trained_on(registry: LocalRegistry, trained: Trained) -> None:
    (info,) = registry.list()
    assert info.manifest is not None
    assert info.manifest.meta["training_key"] == KEY
    assert info.manifest.meta["n_items"] == 60
    assert info.manifest.meta["index_recall"] == {
        "sequential": 1.0,
        "bilinear": 1.0,
        "svd": 1.0,
        "tags": 1.0,
    }
    settings = info.manifest.meta["settings"]
    assert TrainingConfig.model_validate(settings) == TINY


def test_training_again_makes_the_same_bundle(
    registry: LocalRegistry, trained: Trained, simulated: Dataset
) -> None:
    again = train(simulated, registry, TINY, key="another", now_s=2_000.0)
    assert (again.bundle.name, again.bundle.is_new) == (trained.bundle.name, False)


def test_a_target_with_a_weight_changes_the_order_and_travels_with_the_bundle(
    registry: LocalRegistry, trained: Trained, simulated: Dataset
) -> None:
    config = TINY.model_copy(update={"targets": TargetsConfig(click_weight=3.0, n_trees=5)})
    shown = impressions_of(simulated)
    done = train(simulated, registry, config, key="targets", now_s=3_000.0, impressions=shown)
    reader = open_bundle(registry.get(done.bundle.name), feature_schema=FEATURE_SCHEMA)
    users = last_steps(encode(simulated, Vocabulary(simulated.items["item_id"].to_list())))
    made, read = (each.recommend(users, 10)[1] for each in (done.model, TwoStage.load(reader)))
    assert np.array_equal(made.item_rows, read.item_rows)
    assert np.array_equal(made.scores, read.scores)
    assert not np.array_equal(made.item_rows, trained.model.top(users, 10))


def test_a_bundle_without_weights_holds_nothing_of_targets(registry: LocalRegistry, trained: Trained) -> None:
    files = open_bundle(registry.get(trained.bundle.name), feature_schema=FEATURE_SCHEMA).manifest.files
    assert not [name for name in files if "targets" in name]


def test_a_weight_without_impressions_is_refused(tmp_path: Path, simulated: Dataset) -> None:
    config = TINY.model_copy(update={"targets": TargetsConfig(click_weight=1.0)})
    with pytest.raises(UnavailableError, match="nothing is known of what was shown"):
        train(simulated, LocalRegistry(tmp_path), config, key=KEY, now_s=0.0)


def test_what_was_trained_under_a_key_is_found(registry: LocalRegistry, trained: Trained) -> None:
    assert find_trained(registry, KEY) == trained.bundle.name
    assert find_trained(registry, "unheard-of") is None


def test_data_without_a_positive_interaction_is_refused(tmp_path: Path, simulated: Dataset) -> None:
    empty = Dataset("nothing", simulated.interactions.clear(), simulated.items)
    with pytest.raises(InputError, match="nothing: no positive interaction"):
        train(empty, LocalRegistry(tmp_path), TINY, key=KEY, now_s=0.0)
    assert list(tmp_path.iterdir()) == []


def test_the_key_of_a_training_changes_with_data_and_settings() -> None:
    keys = {
        training_key("data", TINY),
        training_key("other data", TINY),
        training_key("data", TINY.model_copy(update={"seed": 1})),
    }
    assert len(keys) == 3
    assert training_key("data", TINY) in keys
    assert all(len(key) == 16 for key in keys)


def test_a_bundle_carries_a_profile_of_its_data_and_its_lists(trained: Trained) -> None:
    reference = load_reference(open_bundle(trained.bundle.path, feature_schema=FEATURE_SCHEMA))
    names = {feature.name for feature in reference.profile.features}
    assert {"kind", "tag", "chosen_share", "top_score", "served_popularity_rank"} <= names
    assert reference.bundle == trained.bundle.name
