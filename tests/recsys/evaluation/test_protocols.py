from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from recsys.core.errors import FieldError, ShapeError, UnavailableError
from recsys.data.log import InteractionLog
from recsys.data.splits import Split, global_time, leave_last_out
from recsys.evaluation.groups import groups_of, sample_tests
from recsys.evaluation.model import Fit, Model
from recsys.evaluation.protocols import EvaluationConfig, Protocol, Setting, evaluate, split_by
from recsys.evaluation.results import Report
from recsys.features.users import NO_ITEM, UserBatch
from recsys.recall.candidates import Candidates

LogOf = Callable[[list[list[tuple[int, float]]], int], InteractionLog]
CatalogueOf = Callable[[list[list[str]]], pl.DataFrame]
SETTING = Setting("toy", "leave-last-out", "a desk", "2026-01-01", 0)
CONFIG = EvaluationConfig(ks=(1, 10), n_resamples=50, batch_users=7)
N_ITEMS = 30


@dataclass(frozen=True, slots=True)
class Fixed:
    """Shows every user the same items, those first that it was made with, then the others; never one seen."""

    first: tuple[int, ...]

    def top(self, users: UserBatch, n: int) -> NDArray[np.int32]:
        order = [*self.first, *(row for row in range(N_ITEMS) if row not in self.first)]
        top = np.full((len(users), n), -1, dtype=np.int32)
        for user in range(len(users)):
            seen = set(users.slice(user, user + 1).excluded_rows.tolist())
            unseen = [row for row in order if row not in seen][:n]
            top[user, : len(unseen)] = unseen
        return top


@dataclass(frozen=True, slots=True)
class Broken:
    """Shows every user the same list, whatever it is."""

    rows: tuple[int, ...]

    def top(self, users: UserBatch, n: int) -> NDArray[np.int32]:
        del n
        return np.tile(np.array(self.rows, dtype=np.int32), (len(users), 1))


@dataclass(frozen=True, slots=True)
class TwoSteps:
    """Names items 0 and 1 and shows item 1 first."""

    def candidates(self, users: UserBatch) -> Candidates:
        named = np.tile(np.array([0, 1], dtype=np.int32), (len(users), 1))
        return Candidates(named, np.zeros((len(users), 2, 1), dtype=np.int16))

    def top(self, users: UserBatch, n: int) -> NDArray[np.int32]:
        return Fixed((1,)).top(users, n)


def fit(model: Model) -> Fit:
    def fitted(train: InteractionLog, items: pl.DataFrame) -> Model:
        del train, items
        return model

    return fitted


@pytest.fixture
def split(log_of: LogOf) -> Split:
    """40 users with history of 3 items: 30 go on to item 0, 10 to item 1."""
    past = [(20, 1.0), (21, 2.0), (22, 3.0)]
    return leave_last_out(log_of([[*past, (int(user >= 30), 4.0)] for user in range(40)], N_ITEMS))


@pytest.fixture
def items(catalogue_of: CatalogueOf) -> pl.DataFrame:
    return catalogue_of([["a"] if row % 2 else ["b"] for row in range(N_ITEMS)])


@pytest.fixture
def report(split: Split, items: pl.DataFrame) -> Report:
    def refuse(train: InteractionLog, items: pl.DataFrame) -> Model:
        del train, items
        raise UnavailableError("huge", "no memory")

    fits = {"two-stage": fit(TwoSteps()), "better": fit(Fixed((0, 1))), "huge": refuse}
    return evaluate(split, items, fits, SETTING, CONFIG)


def test_metrics_are_means_over_all_test_users(report: Report) -> None:
    whole, better = report.rows
    assert whole.metrics["hit@1"].value == pytest.approx(0.25)
    assert better.metrics["hit@1"].value == pytest.approx(0.75)
    assert better.metrics["ndcg@10"].value == pytest.approx(0.75 + 0.25 / np.log2(3))
    assert whole.metrics["hit@1"].low < 0.25 < whole.metrics["hit@1"].high


def test_candidate_recall_is_reported_where_there_are_candidates(report: Report) -> None:
    whole, better = report.rows
    assert whole.metrics["candidate_recall"].value == 1.0
    assert whole.n_candidates == 2
    assert "candidate_recall" not in better.metrics
    assert better.n_candidates is None


def test_exposure_counts_lists_of_ten(report: Report) -> None:
    assert report.rows[0].exposure["coverage@10"] == pytest.approx(10 / N_ITEMS)
    assert report.rows[0].exposure["gini@10"] == pytest.approx(1 - 10 / N_ITEMS)


def test_buckets_name_history_lengths_and_leave_out_empty_ones(report: Report) -> None:
    assert {name: bucket.n_users for name, bucket in report.rows[0].buckets.items()} == {"1-5": 40}
    assert report.rows[0].cold is None


def test_a_model_that_cannot_be_fitted_is_named_with_its_reason(report: Report) -> None:
    assert [row.model for row in report.rows] == ["two-stage", "better"]
    (skipped,) = report.skipped
    assert (skipped.model, skipped.why) == ("huge", "huge is unavailable: no memory")


def test_the_whole_pipeline_is_compared_over_the_same_users(report: Report) -> None:
    pair = next(each for each in report.differences if (each.metric, each.group) == ("ndcg@10", "all"))
    lead = 0.25 + 0.75 / np.log2(3) - (0.75 + 0.25 / np.log2(3))
    assert (pair.model, pair.against, pair.n_users) == ("two-stage", "better", 40)
    assert pair.value == pytest.approx(lead)
    assert pair.significant
    assert any("significantly WORSE than better" in sentence for sentence in report.findings)


def test_of_a_handful_of_users_nothing_is_called_significant(split: Split, items: pl.DataFrame) -> None:
    few = sample_tests(split, 5, seed=0)
    report = evaluate(
        few, items, {"two-stage": fit(Fixed((9,))), "better": fit(Fixed((0, 1)))}, SETTING, CONFIG
    )
    pair = next(each for each in report.differences if each.metric == "ndcg@10")
    assert pair.high < 0.0
    assert not pair.significant


@pytest.mark.parametrize(
    ("rows", "message"),
    [((0,) * 10, "an item twice"), ((20, *range(9)), "has seen"), ((N_ITEMS, *range(9)), "unknown")],
)
def test_lists_that_would_flatter_are_refused(
    rows: tuple[int, ...], message: str, split: Split, items: pl.DataFrame
) -> None:
    with pytest.raises(FieldError, match=message):
        evaluate(split, items, {"broken": fit(Broken(rows))}, SETTING, CONFIG)


def test_lists_of_another_length_are_refused(split: Split, items: pl.DataFrame) -> None:
    with pytest.raises(ShapeError, match="lists of broken"):
        evaluate(split, items, {"broken": fit(Broken((0,)))}, SETTING, CONFIG)


def test_a_model_learns_from_the_training_log_alone(split: Split, items: pl.DataFrame) -> None:
    given: list[InteractionLog] = []

    def remember(train: InteractionLog, items: pl.DataFrame) -> Model:
        del items
        given.append(train)
        return Fixed(())

    evaluate(split, items, {"curious": remember}, SETTING, CONFIG)
    assert given == [split.train]
    assert not np.isin([0, 1], given[0].item_rows).any()


def test_a_model_is_asked_with_the_history_before_the_stop(split: Split, items: pl.DataFrame) -> None:
    histories: list[list[int]] = []

    @dataclass(frozen=True)
    class Curious:
        def top(self, users: UserBatch, n: int) -> NDArray[np.int32]:
            histories.extend(users.history_rows.tolist())
            return Fixed(()).top(users, n)

    evaluate(split, items, {"curious": fit(Curious())}, SETTING, CONFIG)
    assert [history[:3] for history in histories] == [[22, 21, 20]] * 40
    assert {row for history in histories for row in history[3:]} == {NO_ITEM}


def test_batches_change_nothing(split: Split, items: pl.DataFrame, report: Report) -> None:
    at_once = CONFIG.model_copy(update={"batch_users": 1_000})
    (row,) = evaluate(split, items, {"better": fit(Fixed((0, 1)))}, SETTING, at_once).rows
    assert row.metrics == report.rows[1].metrics
    assert row.exposure == report.rows[1].exposure


def test_cold_users_stand_apart(log_of: LogOf, items: pl.DataFrame) -> None:
    split = global_time(log_of([[(5, 1.0), (0, 11.0)], [(1, 12.0)], [(2, 2.0)]], N_ITEMS), 10.0)
    (row,) = evaluate(split, items, {"fixed": fit(Fixed((0,)))}, SETTING, CONFIG).rows
    assert row.cold is not None
    assert row.cold.n_users == 1
    assert row.cold.metrics["hit@1"].value == 0.0
    assert row.buckets["1-5"].metrics["hit@1"].value == 1.0
    assert row.metrics["hit@1"].value == 0.5


def test_users_asked_at_the_time_of_their_last_item_are_told_apart(
    log_of: LogOf, items: pl.DataFrame
) -> None:
    tied, later = [(5, 1.0), (0, 1.0)], [(5, 1.0), (1, 2.0)]
    split = leave_last_out(log_of([tied, later, later], N_ITEMS))
    report = evaluate(split, items, {"two-stage": fit(Fixed((0,))), "other": fit(Fixed(()))}, SETTING, CONFIG)
    assert report.counts.n_tied_users == 1
    assert report.rows[0].untied is not None
    assert report.rows[0].untied.n_users == 2
    assert report.rows[0].untied.metrics["hit@1"].value == 0.0
    assert report.rows[0].metrics["hit@1"].value == pytest.approx(1 / 3)
    assert any("over the other 2 two-stage has" in sentence for sentence in report.findings)


def test_without_ties_there_is_no_such_group(report: Report) -> None:
    assert report.counts.n_tied_users == 0
    assert report.rows[0].untied is None


def test_no_test_user_is_refused(log_of: LogOf, items: pl.DataFrame) -> None:
    with pytest.raises(FieldError, match="no test user"):
        evaluate(leave_last_out(log_of([[(0, 1.0)]], N_ITEMS)), items, {}, SETTING, CONFIG)


def test_the_cut_of_the_report_cannot_be_left_out() -> None:
    with pytest.raises(ValidationError, match="10 must be among the cuts"):
        EvaluationConfig(ks=(5,))


def test_each_protocol_holds_out_its_own(log_of: LogOf) -> None:
    log = log_of([[(0, 1.0), (1, 2.0)], [(2, 3.0), (3, 4.0)]], N_ITEMS)
    assert split_by(Protocol.LEAVE_LAST_OUT, log, test_share=0.5).train.item_rows.tolist() == [0, 2]
    assert split_by(Protocol.GLOBAL_TIME, log, test_share=0.5).train.item_rows.tolist() == [0, 1]


@pytest.mark.parametrize("n", [1, 13, 40, 41])
def test_a_sample_keeps_users_with_their_own_targets(split: Split, n: int) -> None:
    sample = sample_tests(split, n, seed=3)
    assert len(sample) == min(n, 40)
    assert np.all(np.diff(sample.test_users) > 0)
    assert sample.target_rows.tolist() == [int(user >= 30) for user in sample.test_users]
    assert groups_of(sample)["1-5"].all()
