import pickle

import numpy as np
import pytest
from numpy.typing import NDArray

from recsys.data.impressions import impressions_of
from recsys.data.log import InteractionLog, Vocabulary, encode
from recsys.data.schema import Dataset
from recsys.data.shown import ShownLog, encode_impressions
from recsys.evaluation.baselines import BASELINES
from recsys.evaluation.results import PairedDifference
from recsys.features.users import NO_ITEM, UserBatch
from recsys.ranking.boosting import BoostingConfig
from recsys.training import gate as module
from recsys.training.cross_fit import CrossFitConfig
from recsys.training.gate import GateClosedError, GateConfig, judged, pass_gate
from recsys.training.two_stage import TrainingConfig

QUICK = TrainingConfig(
    cross_fit=CrossFitConfig(n_folds=2, max_positions=8, n_candidates=30),
    boosting=BoostingConfig(n_trees=20),
    n_candidates=30,
)


class NothingAtAll:
    """A pipeline that names nothing."""

    name = "two-stage"

    def top(self, users: UserBatch, n: int) -> NDArray[np.int32]:
        return np.full((len(users), n), NO_ITEM, dtype=np.int32)


@pytest.fixture(scope="module")
def log(simulated: Dataset) -> InteractionLog:
    return encode(simulated, Vocabulary(simulated.items["item_id"].to_list()))


def test_a_pipeline_that_helps_passes_and_its_figures_are_told(
    simulated: Dataset, log: InteractionLog
) -> None:
    scores = pass_gate(log, simulated.items, QUICK, GateConfig(), date="2026-01-01")
    assert set(scores) == {"popularity", "recent-popularity", "two-stage"}
    assert scores["two-stage"] > scores["popularity"] > 0.0


def test_a_pipeline_that_is_worse_than_a_baseline_is_refused_by_its_name(
    simulated: Dataset, log: InteractionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "fit_two_stage", lambda *_, **__: NothingAtAll())
    with pytest.raises(GateClosedError, match=r"popularity.*below 0.*--no-gate"):
        pass_gate(log, simulated.items, QUICK, GateConfig(), date="2026-01-01")


def test_the_pipeline_does_not_learn_from_what_users_were_shown_with_the_answer(
    simulated: Dataset, log: InteractionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[ShownLog] = []

    def fit(*_: object, shown: ShownLog, **__: object) -> NothingAtAll:
        handed.append(shown)
        return NothingAtAll()

    monkeypatch.setattr(module, "fit_two_stage", fit)
    vocabulary = Vocabulary(simulated.items["item_id"].to_list())
    shown = encode_impressions(impressions_of(simulated), vocabulary, log)
    with pytest.raises(GateClosedError):
        pass_gate(log, simulated.items, QUICK, GateConfig(), date="2026-01-01", shown=shown)
    (told,) = handed
    known = told.log_users >= 0
    answered_s = log.times_s[log.offsets[1:] - 1]  # of everybody with more than one position
    several = log.lengths[told.log_users[known]] > 1
    assert (told.ends_s[known] < answered_s[told.log_users[known]])[several].all()
    assert 0 < told.n_sessions < shown.n_sessions


def test_nobody_to_ask_is_no_reason_to_refuse(simulated: Dataset, log: InteractionLog) -> None:
    first = np.zeros(len(log.item_rows), dtype=np.bool_)
    first[log.offsets[:-1]] = True  # one position per user: nothing can be held out
    assert pass_gate(log.select(first), simulated.items, QUICK, GateConfig(), date="2026-01-01") == {}


def pair(against: str, low: float, high: float) -> PairedDifference:
    return PairedDifference(
        model="two-stage",
        against=against,
        metric="ndcg@10",
        group="all",
        n_users=9,
        value=(low + high) / 2,
        low=low,
        high=high,
        p=0.01,
        significant=True,
    )


def test_only_baselines_close_the_gate() -> None:
    worse_than_defaults = [pair("defaults", -0.2, -0.1), pair("popularity", 0.1, 0.2)]
    assert judged([], worse_than_defaults, GateConfig()) == {}
    with pytest.raises(GateClosedError, match="popularity"):
        judged([], [pair("popularity", -0.2, -0.1)], GateConfig())


def test_a_closed_gate_crosses_a_process_border() -> None:
    error = GateClosedError("popularity", "ndcg@10", -0.2, -0.1)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_the_baselines_of_the_gate_exist() -> None:
    assert set(GateConfig().baselines) <= set(BASELINES)
