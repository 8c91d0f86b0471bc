"""Models on shown items: what they are told, what they must not know, and what they say."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from recsys.core.errors import FieldError, ShapeError, UnavailableError
from recsys.data.impressions import Target
from recsys.data.log import InteractionLog
from recsys.data.shown import ShownLog
from recsys.evaluation.baselines import BASELINES
from recsys.evaluation.baselines.full_ranking import chosen_scores
from recsys.evaluation.impressions.click_rate import ClickRateConfig, fit_click_rate
from recsys.evaluation.impressions.scoring import score_shown
from recsys.evaluation.model import ScoringModel
from recsys.features.users import NO_ITEM, UserBatch, batch_at

LogOf = Callable[..., InteractionLog]
NO_CATALOGUE = pl.DataFrame()


@dataclass
class Asked:
    """Scores an item by its row, and writes down what it was told."""

    answer: Callable[[NDArray[np.int32]], NDArray[Any]] = lambda rows: rows.astype(np.float64)
    told: dict[float, list[int]] = field(default_factory=dict)

    def top(self, users: UserBatch, n: int) -> NDArray[np.int32]:
        raise NotImplementedError

    def scores(self, users: UserBatch, item_rows: NDArray[np.int32]) -> NDArray[Any]:
        for user in range(len(users)):
            history = users.history_rows[user]
            self.told[float(users.now_s[user])] = history[history != NO_ITEM].tolist()
        return self.answer(item_rows)


@pytest.fixture
def log(log_of: LogOf) -> InteractionLog:
    return log_of([[(0, 10.0), (1, 20.0), (2, 30.0)], [(3, 15.0)]], 6)


@pytest.fixture
def shown() -> ShownLog:
    """u0 is shown 4 and 5 at 20 s, u0 item 2 at 40 s, a stranger items 1 and 0 at 50 s."""
    return ShownLog(
        offsets=np.array([0, 2, 3, 5]),
        users=np.array([0, 0, 1]),
        log_users=np.array([0, 0, -1]),
        stops=np.array([1, 3, 0]),
        starts_s=np.array([20.0, 40.0, 50.0]),
        ends_s=np.array([25.0, 40.0, 50.0]),
        item_rows=np.array([4, 5, 2, 1, 0], dtype=np.int32),
        surfaces=np.ones(5, dtype=np.int64),
        at_random=np.zeros(5, dtype=np.bool_),
        answers={Target.CLICK: np.array([True, False, True, False, False])},
        n_unknown_items=0,
    )


def test_every_impression_has_its_score_and_every_session_its_own_past(
    log: InteractionLog, shown: ShownLog
) -> None:
    model = Asked()
    assert score_shown(model, "asked", log, shown).tolist() == [4.0, 5.0, 2.0, 1.0, 0.0]
    assert model.told == {20.0: [0], 40.0: [2, 1, 0], 50.0: []}  # latest first


def test_scores_that_are_no_numbers_or_of_another_shape_are_refused(
    log: InteractionLog, shown: ShownLog
) -> None:
    with pytest.raises(FieldError, match="scores of broken"):
        score_shown(Asked(lambda rows: np.full(rows.shape, -np.inf)), "broken", log, shown)
    with pytest.raises(ShapeError, match="scores of broken"):
        score_shown(Asked(lambda rows: np.zeros(len(rows))), "broken", log, shown)


def fitted(name: str, log: InteractionLog) -> ScoringModel:
    """Return a baseline that has learned; skips where its packages are missing."""
    try:
        model = BASELINES[name](log, NO_CATALOGUE)
    except UnavailableError as error:
        pytest.skip(str(error))
    assert isinstance(model, ScoringModel)
    return model


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "sasrec")) for name in sorted(BASELINES)]
)
class TestEveryBaseline:
    def test_orders_given_items_as_it_ranks_the_catalogue(self, name: str, log_of: LogOf) -> None:
        rng = np.random.default_rng(0)
        histories = (rng.choice(12, 5, replace=False).tolist() for _ in range(30))
        log = log_of([list(zip(items, range(5), strict=True)) for items in histories], 12)
        model = fitted(name, log)
        users = batch_at(log, np.arange(30), log.offsets[:-1] + 3, np.full(30, 2.5))
        best = model.top(users, 4)
        scores = model.scores(users, best)
        assert (np.diff(scores, axis=1) <= 0.0).all()
        assert np.ptp(scores) > 0.0

    def test_has_a_finite_score_for_anybody_and_anything(self, name: str, log: InteractionLog) -> None:
        model = fitted(name, log)
        users = batch_at(log, np.array([0, -1]), np.array([3, 0]), np.array([99.0, 99.0]))
        assert np.isfinite(model.scores(users, np.array([[0, 5], [3, 5]], dtype=np.int32))).all()


def test_popularity_leaves_equal_counts_equal(log: InteractionLog) -> None:
    model = BASELINES["popularity"](log, NO_CATALOGUE)
    assert isinstance(model, ScoringModel)
    users = batch_at(log, np.array([0]), np.array([3]), np.array([99.0]))
    assert model.scores(users, np.array([[0, 3, 5]], dtype=np.int32)).tolist() == [[1.0, 1.0, 0.0]]


def test_recent_popularity_asked_long_after_its_last_event_looks_at_the_last_ones(log_of: LogOf) -> None:
    day = 86_400.0
    log = log_of([[(0, 0.0), (1, 9.5 * day), (1, 10.0 * day)]], 2)
    model = BASELINES["recent-popularity-1d"](log, NO_CATALOGUE)
    assert isinstance(model, ScoringModel)
    users = batch_at(log, np.array([0]), np.array([3]), np.array([15.0 * day]))
    (found,) = model.scores(users, np.array([[0, 1]], dtype=np.int32)).tolist()
    assert found == pytest.approx([0.0, 2.0])


def test_ties_are_broken_by_preference_and_nothing_else_is_moved() -> None:
    near = np.nextafter(np.float32(1.0), np.float32(2.0))
    scores = np.array([[1.0, 1.0, near, 0.0, -1.0, -1.0]], dtype=np.float32)
    rows = np.arange(6, dtype=np.int32)[None, :]
    found = chosen_scores(scores, rows, np.array([4, 5, 0, 1, 3, 2]))[0]
    assert np.argsort(found).tolist() == [5, 4, 3, 0, 1, 2]


class TestClickRate:
    config = ClickRateConfig(prior_impressions=2.0)

    def test_is_the_share_of_what_was_shown_drawn_to_the_mean(
        self, log: InteractionLog, shown: ShownLog
    ) -> None:
        model = fit_click_rate(log, NO_CATALOGUE, past=shown, target=Target.CLICK, config=self.config)
        prior = 2.0 * 0.4  # 2 of 5 were clicked
        assert model.rates == pytest.approx(
            np.array([0, 0, 1, 0, 1, 0]) / 3 + np.array([prior] * 6) / [3, 3, 3, 2, 3, 3]
        )

    def test_what_chance_showed_does_not_count(self, log: InteractionLog, shown: ShownLog) -> None:
        at_random = np.array([True, False, False, False, False])
        model = fit_click_rate(
            log,
            NO_CATALOGUE,
            past=replace(shown, at_random=at_random),
            target=Target.CLICK,
            config=self.config,
        )
        assert model.rates[4] == pytest.approx(0.25)  # never shown: the mean of the other four

    def test_needs_answers(self, log: InteractionLog, shown: ShownLog) -> None:
        with pytest.raises(UnavailableError, match="long_view"):
            fit_click_rate(log, NO_CATALOGUE, past=shown, target=Target.LONG_VIEW, config=self.config)
