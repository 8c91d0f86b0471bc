from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from recsys.core.errors import FieldError, UnavailableError
from recsys.data.impressions import Target
from recsys.data.log import InteractionLog
from recsys.data.shown import ShownLog
from recsys.evaluation.impressions.judged import Question, judge
from recsys.evaluation.impressions.protocol import evaluate_impressions
from recsys.evaluation.impressions.report import to_markdown
from recsys.evaluation.impressions.results import ImpressionReport, Shower
from recsys.evaluation.impressions.split import ImpressionSplit
from recsys.evaluation.model import Fit, Model
from recsys.evaluation.protocols import Setting
from recsys.features.users import UserBatch

SETTING = Setting("made up", "impressions", "here", "2026-01-01", 0)
N_USERS = 40


@dataclass
class ByRow:
    """Likes items with a larger (or a smaller) row better."""

    sign: float

    def top(self, users: UserBatch, n: int) -> NDArray[np.int32]:
        raise NotImplementedError

    def scores(self, users: UserBatch, item_rows: NDArray[np.int32]) -> NDArray[Any]:
        return self.sign * item_rows


@dataclass
class RanksOnly:
    """Has no score for a given item."""

    def top(self, users: UserBatch, n: int) -> NDArray[np.int32]:
        raise NotImplementedError


def fit(model: Model) -> Fit:
    return lambda train, items: model


def refuse(train: InteractionLog, items: pl.DataFrame) -> Model:
    raise UnavailableError("huge", "no memory")


@pytest.fixture(scope="module")
def split() -> ImpressionSplit:
    """40 users are shown items 0, 1, 2 and click 2, every fourth 0 instead. Two more click all and none."""
    n = N_USERS + 2
    chosen = np.zeros((n, 3), dtype=np.bool_)
    chosen[np.arange(n), np.where(np.arange(n) % 4 == 0, 0, 2)] = True
    chosen[-2], chosen[-1] = True, False
    shown = ShownLog(
        offsets=np.arange(n + 1) * 3,
        users=np.arange(n),
        log_users=np.zeros(n, dtype=np.int64),
        stops=np.zeros(n, dtype=np.int64),
        starts_s=np.full(n, 50.0),
        ends_s=np.full(n, 60.0),
        item_rows=np.tile(np.arange(3, dtype=np.int32), n),
        surfaces=np.tile([1, 1, 2], n),
        at_random=np.zeros(3 * n, dtype=np.bool_),
        answers={Target.CLICK: chosen.ravel()},
        n_unknown_items=0,
    )
    none = np.zeros(1, dtype=np.int16)
    log = InteractionLog(np.array([0, 1]), np.zeros(1, dtype=np.int32), np.zeros(1), none, ("u0",), (), 3)
    return ImpressionSplit(log, log, shown, shown, cut_s=40.0, n_days=1.0, n_across=0)


def report_of(split: ImpressionSplit) -> ImpressionReport:
    fits = {"huge": refuse, "ranks": fit(RanksOnly()), "ours": fit(ByRow(1.0)), "turned": fit(ByRow(-1.0))}
    return evaluate_impressions(
        split, pl.DataFrame(), fits, SETTING, targets=[Target.CLICK], ours=["ours"], n_resamples=200
    )


@pytest.fixture(scope="module")
def report(split: ImpressionSplit) -> ImpressionReport:
    return report_of(split)


def test_figures_are_those_found_by_hand(report: ImpressionReport) -> None:
    ours, turned = (each.metrics for each in report.judgements)
    assert ours["gauc"].value == pytest.approx(0.75)  # right for 30 of 40
    assert turned["gauc"].value == pytest.approx(0.25)
    assert ours["ndcg"].value == pytest.approx(0.75 + 0.25 * 0.5)  # a choice in third place is worth 1/2
    assert ours["ndcg@10"] == ours["ndcg"]
    assert ours["gauc_of_surface"].value == 0.0  # on surface 1 only those who clicked 0 have both answers
    n_chosen, n_other = 43, 83  # of the 42 users; every row has 42 impressions
    first, last = 10 + 1, 30 + 1  # clicks on item 0 and on item 2
    pairs = last * (42 - first) + last * 41 + last * (42 - last) / 2
    pairs += 1 * ((42 - first) + 41 / 2) + first * (42 - first) / 2
    assert ours["auc"].value == pytest.approx(pairs / (n_chosen * n_other))
    assert ours["gauc"].low < 0.75 < ours["gauc"].high


def test_users_with_one_answer_are_counted_and_left_out(report: ImpressionReport) -> None:
    (asked,) = report.asked
    assert (asked.n_users, asked.n_mixed_users, asked.n_mixed_impressions) == (42, 40, 120)
    assert asked.n_within_ten == 40
    assert report.n_users_without_past == 42


def test_a_model_that_cannot_be_asked_is_named_with_its_reason(report: ImpressionReport) -> None:
    assert [each.model for each in report.skipped] == ["huge", "ranks"]
    assert [each.model for each in report.costs] == ["ours", "turned"]


def test_ours_is_compared_over_the_same_resamples(report: ImpressionReport) -> None:
    pair = next(each for each in report.differences if each.metric == "gauc")
    assert (pair.model, pair.against, pair.group) == ("ours", "turned", "click, shown by recommender")
    assert pair.value == pytest.approx(0.5)
    assert pair.significant
    ours, turned = (each.metrics["gauc"] for each in report.judgements)
    assert pair.low == pytest.approx(ours.low - turned.high)  # the two always sum to 1
    assert any("GAUC of click" in said and "ours beats turned" in said for said in report.findings)


def test_what_chance_showed_stands_apart(split: ImpressionSplit) -> None:
    at_random = np.repeat(np.arange(N_USERS + 2) % 4 == 0, 3)
    report = report_of(replace(split, test=replace(split.test, at_random=at_random)))
    by_shower = {
        each.shower: each.metrics["gauc"].value for each in report.judgements if each.model == "ours"
    }
    assert by_shower == {Shower.RECOMMENDER: 1.0, Shower.CHANCE: 0.0}
    assert "## Click, shown by chance" in to_markdown(report)


def test_the_report_survives_json_and_names_every_model_on_its_page(report: ImpressionReport) -> None:
    assert ImpressionReport.model_validate_json(report.model_dump_json()) == report
    page = to_markdown(report)
    assert "| ours | 0." in page
    assert "2 users are left out" in page


def test_nobody_with_both_answers_is_refused(split: ImpressionSplit) -> None:
    nobody = {Target.CLICK: np.zeros(3 * (N_USERS + 2), dtype=np.bool_)}
    with pytest.raises(FieldError, match="both answers"):
        report_of(replace(split, test=replace(split.test, answers=nobody)))


def test_a_target_that_nobody_measured_is_refused(split: ImpressionSplit) -> None:
    with pytest.raises(FieldError, match="long_view"):
        evaluate_impressions(split, pl.DataFrame(), {}, SETTING, targets=[Target.LONG_VIEW], ours=[])


def test_a_user_weighs_in_gauc_by_impressions_and_in_ndcg_like_any_other() -> None:
    question = Question(
        np.array([0, 0, 1, 1, 1, 1]), np.ones(6, dtype=np.int64), np.array([1, 0, 0, 1, 1, 1], bool)
    )
    judged = judge(question, np.array([2.0, 1.0, 9.0, 3.0, 2.0, 1.0]), seed=0, n_resamples=20)
    assert judged.values["gauc"] == pytest.approx((2 * 1.0 + 4 * 0.0) / 6)
    worth = 1.0 / np.log2(np.arange(4) + 2.0)
    assert judged.values["ndcg"] == pytest.approx((1.0 + worth[1:].sum() / worth[:3].sum()) / 2)
