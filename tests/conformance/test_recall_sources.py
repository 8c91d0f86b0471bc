"""What every recall source promises, tried on one small simulated log. A new source is tested on arrival."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import faiss
import numpy as np
import pytest

from recsys.data.log import InteractionLog, Vocabulary, encode
from recsys.data.schema import Dataset
from recsys.features.items import fit_items
from recsys.features.users import NO_ITEM, UserBatch, batch_at
from recsys.recall.bilinear import BilinearConfig, BilinearSource
from recsys.recall.candidates import NOT_NAMED
from recsys.recall.covisitation import CovisitationSource
from recsys.recall.index import IndexConfig
from recsys.recall.learning import LearningConfig
from recsys.recall.passages import PassagesSource
from recsys.recall.popularity import PopularitySource
from recsys.recall.sequential import SequentialConfig, SequentialSource
from recsys.recall.source import RecallSource
from recsys.recall.sources import (
    SOURCE_NAMES,
    Quotas,
    RecallConfig,
    Sources,
    fit_sources,
    name_candidates,
)
from recsys.recall.svd import SvdConfig, SvdSource
from recsys.recall.tags import TagsConfig, TagsSource
from recsys.registry.bundle import BundleReader
from recsys.registry.reader import FolderBundleReader

N = 15


class Loads(Protocol):
    def load(self, reader: BundleReader) -> RecallSource: ...


SOURCES: Mapping[str, Loads] = {
    "sequential": SequentialSource,
    "bilinear": BilinearSource,
    "passages": PassagesSource,
    "covisitation": CovisitationSource,
    "svd": SvdSource,
    "tags": TagsSource,
    "popularity": PopularitySource,
}
GRAPH = IndexConfig(flat_up_to_items=10)
FEW_STEPS = LearningConfig(n_dimensions=8, n_epochs=2)
CONFIGS = {
    "flat": RecallConfig(
        svd=SvdConfig(n_factors=6),
        sequential=SequentialConfig(min_events=2, rank=8),
        bilinear=BilinearConfig(min_events=2, learning=FEW_STEPS),
    ),
    "graph": RecallConfig(
        svd=SvdConfig(n_factors=6, index=GRAPH),
        sequential=SequentialConfig(min_events=2, rank=8, index=GRAPH),
        bilinear=BilinearConfig(min_events=2, learning=FEW_STEPS, index=GRAPH),
        tags=TagsConfig(index=GRAPH),
    ),
}


@dataclass(frozen=True, slots=True)
class World:
    log: InteractionLog
    sources: Mapping[str, Sources]

    def source(self, name: str, index: str = "flat") -> RecallSource:
        source: RecallSource = getattr(self.sources[index], name)
        return source

    def users(self) -> UserBatch:
        """Return 64 users, the first three without any history."""
        users = np.arange(64)
        starts, stops = self.log.offsets[users], self.log.offsets[users + 1]
        stops = np.where(users < 3, starts, stops - 1)
        now_s = self.log.times_s[np.maximum(stops - 1, 0)] + 60.0
        context_rows = (users % (len(self.log.contexts) + 1)).astype(np.int16)
        return batch_at(self.log, users, stops, now_s, context_rows)


@pytest.fixture(scope="module")
def world(simulated: Dataset) -> World:
    log = encode(simulated, Vocabulary(simulated.items["item_id"].to_list()))
    items = fit_items(simulated.items)
    return World(log, {index: fit_sources(log, items, config) for index, config in CONFIGS.items()})


def test_the_table_holds_every_source() -> None:
    assert tuple(SOURCES) == SOURCE_NAMES


def test_one_set_of_sources_searches_exactly_and_the_other_a_graph(world: World) -> None:
    for name in ("sequential", "bilinear", "svd", "tags"):
        assert getattr(world.sources["flat"], name).index.graph is None, name
        assert isinstance(getattr(world.sources["graph"], name).index.graph, faiss.IndexHNSW), name


@pytest.mark.parametrize("name", SOURCE_NAMES)
@pytest.mark.parametrize("index", sorted(CONFIGS))
class TestEverySource:
    def test_names_no_blocked_item_and_none_twice(self, world: World, name: str, index: str) -> None:
        users = world.users()
        blocked = users.blocked(world.log.n_items)
        found = world.source(name, index).search(users, N, blocked)
        assert found.item_rows.shape == found.scores.shape == (64, N)
        for user, rows in enumerate(found.item_rows):
            kept = rows[rows != NO_ITEM]
            assert len(np.unique(kept)) == len(kept)
            assert not blocked[user, kept].any()
            assert (rows[len(kept) :] == NO_ITEM).all()

    def test_names_something_for_users_with_a_history(self, world: World, name: str, index: str) -> None:
        users = world.users()
        found = world.source(name, index).search(users, N, users.blocked(world.log.n_items))
        assert (found.item_rows[3:, 0] != NO_ITEM).mean() > 0.9

    def test_scores_of_a_search_are_finite_and_fall(self, world: World, name: str, index: str) -> None:
        users = world.users()
        found = world.source(name, index).search(users, N, users.blocked(world.log.n_items))
        padded = found.item_rows == NO_ITEM
        assert np.isfinite(found.scores[~padded]).all()
        assert (found.scores[padded] == -np.inf).all()
        assert (found.scores[:, 1:] <= found.scores[:, :-1]).all()

    def test_scores_of_given_items_are_finite_and_zero_where_padded(
        self, world: World, name: str, index: str
    ) -> None:
        rows = np.tile(np.arange(NO_ITEM, world.log.n_items, dtype=np.int32), (64, 1))
        scores = world.source(name, index).score(world.users(), rows)
        assert scores.shape == rows.shape
        assert scores.dtype == np.float32
        assert np.isfinite(scores).all()
        assert (scores[:, 0] == 0.0).all()
        assert scores[3:].any(axis=1).mean() > 0.9

    def test_does_the_same_twice(self, world: World, name: str, index: str) -> None:
        users, source = world.users(), world.source(name, index)
        blocked = users.blocked(world.log.n_items)
        one, other = (source.search(users, N, blocked) for _ in range(2))
        assert np.array_equal(one.item_rows, other.item_rows)
        assert np.array_equal(one.scores, other.scores)

    def test_gives_a_user_in_a_batch_what_the_user_gets_alone(
        self, world: World, name: str, index: str
    ) -> None:
        users, source = world.users(), world.source(name, index)
        blocked = users.blocked(world.log.n_items)
        found = source.search(users, N, blocked)
        rows = np.tile(np.arange(world.log.n_items, dtype=np.int32), (64, 1))
        scores = source.score(users, rows)
        for user in range(64):
            alone = users.slice(user, user + 1)
            found_alone = source.search(alone, N, blocked[user : user + 1])
            assert np.array_equal(found_alone.item_rows[0], found.item_rows[user])
            assert np.array_equal(found_alone.scores[0], found.scores[user])
            assert np.array_equal(source.score(alone, rows[:1])[0], scores[user])

    def test_comes_back_from_a_bundle_with_the_same_answers(
        self, world: World, name: str, index: str, bundle_of: Callable[..., FolderBundleReader]
    ) -> None:
        users, source = world.users(), world.source(name, index)
        read = SOURCES[name].load(bundle_of(source.save))
        assert read.name == name
        blocked = users.blocked(world.log.n_items)
        before, after = (each.search(users, N, blocked) for each in (source, read))
        assert np.array_equal(before.item_rows, after.item_rows)
        assert np.array_equal(before.scores, after.scores)
        rows = np.tile(np.arange(world.log.n_items, dtype=np.int32), (64, 1))
        assert np.array_equal(source.score(users, rows), read.score(users, rows))

    def test_answers_when_everything_is_blocked_and_when_nobody_asks(
        self, world: World, name: str, index: str
    ) -> None:
        users, source = world.users(), world.source(name, index)
        everything = np.ones((64, world.log.n_items), dtype=np.bool_)
        assert (source.search(users, N, everything).item_rows == NO_ITEM).all()
        nobody = users.slice(0, 0)
        assert source.search(nobody, N, everything[:0]).item_rows.shape == (0, N)


def test_a_source_without_a_share_is_not_asked(world: World) -> None:
    users = world.users()
    blocked = users.blocked(world.log.n_items)
    asked, not_asked = (
        name_candidates(world.sources["flat"], users, N, Quotas(svd=share), blocked) for share in (30, 0)
    )
    svd = SOURCE_NAMES.index("svd")
    assert (asked.source_ranks[3:, :, svd] != NOT_NAMED).any(axis=1).all()
    assert (not_asked.source_ranks[:, :, svd] == NOT_NAMED).all()
    assert (not_asked.item_rows != NO_ITEM).all()  # the others fill its places


def test_sources_fitted_twice_on_one_log_agree_bit_for_bit(world: World, simulated: Dataset) -> None:
    again = fit_sources(world.log, fit_items(simulated.items), CONFIGS["flat"])
    users = world.users()
    rows = np.tile(np.arange(world.log.n_items, dtype=np.int32), (64, 1))
    for name in SOURCE_NAMES:
        source: RecallSource = getattr(again, name)
        assert np.array_equal(source.score(users, rows), world.source(name).score(users, rows)), name
