"""A bundle that would have known better, judged by lists in which chance decided."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from deployments.cli.experiment import app
from recsys.core.errors import FieldError, NotFoundError
from recsys.core.pseudonyms import Pseudonyms
from recsys.data.events import Event, EventKind
from recsys.data.log import Vocabulary, encode
from recsys.data.schema import Dataset
from recsys.eventlog.exposure import Exposure, chunk_of, frame_of
from recsys.eventlog.exposure_files import write_exposures
from recsys.eventlog.writer import EventLogWriter
from recsys.features.users import nobody
from recsys.pipeline.stages import TwoStage
from recsys.ranking.boosting import BoostingConfig
from recsys.ranking.matrix import FEATURE_SCHEMA, KnowledgeConfig
from recsys.recall.sequential import SequentialConfig
from recsys.recall.sources import RecallConfig
from recsys.recall.svd import SvdConfig
from recsys.registry.local import LocalRegistry
from recsys.training.cross_fit import CrossFitConfig
from recsys.training.two_stage import TrainingConfig, fit_two_stage
from tests.small import BILINEAR

NOW_S = 0.0  # of nobody: the moment at which the bundle is asked
N_LISTS, N_CHOICES = 300, 4
TINY = TrainingConfig(
    knowledge=KnowledgeConfig(
        recall=RecallConfig(
            bilinear=BILINEAR, sequential=SequentialConfig(min_events=2, rank=4), svd=SvdConfig(n_factors=4)
        )
    ),
    cross_fit=CrossFitConfig(n_folds=2, min_positions=3, max_positions=3, n_candidates=20),
    boosting=BoostingConfig(n_trees=60, max_depth=4, min_child_weight=1.0),  # or strangers are all alike
    n_candidates=30,
)


@pytest.fixture(scope="module")
def model(simulated: Dataset) -> TwoStage:
    log = encode(simulated, Vocabulary(simulated.items["item_id"].to_list()))
    return fit_two_stage(log, simulated.items, TINY)


def published(home: Path, model: TwoStage) -> None:
    registry = LocalRegistry(home / "registry")
    made = registry.publish(model.save, feature_schema=FEATURE_SCHEMA, created_s=0.0, meta={})
    registry.promote(made.name, "candidate", expected=None, by="test", now_s=0.0)


def lived(home: Path, model: TwoStage, explored: bool = True) -> None:
    """Draw a place for strangers evenly; they watch what stands there if it is the bundle's favourite."""
    rng, pseudonyms = np.random.default_rng(0), Pseudonyms.of_file(home / "exposures.key")
    ids = model.recall.catalogue.items.ids
    lists, events = [], []
    for number in range(N_LISTS):
        rows = rng.choice(len(ids), N_CHOICES, replace=False).astype(np.int32)
        scores = model.scores(nobody(), rows[None, :])[0]
        rows = rows[np.argsort(scores, kind="stable")]  # the serving ranking likes what the bundle does not
        taken = int(rng.integers(N_CHOICES))
        choices = [ids[row] for row in rows]
        at_s = NOW_S + number * 1e-6
        lists.append(
            Exposure(
                f"r{number}", at_s, pseudonyms.of(f"u{number}"), "stable", "b", "recommend", None, 0,
                override=False, cached=False, degraded=[], item_ids=[choices[taken]], scores=[1.0],
                sources=["svd"], propensities=[1 / N_CHOICES], explored_rank=1 if explored else None,
                choices=choices if explored else [], chances=[1 / N_CHOICES] * N_CHOICES if explored else [],
            )
        )  # fmt: skip
        if scores.max() == scores[np.argsort(scores, kind="stable")][taken]:
            events.append(
                Event(
                    event_id=f"e{number}", user_id=f"u{number}", kind=EventKind.WATCH, time_s=at_s + 5.0,
                    item_id=choices[taken], request_id=f"r{number}",
                )
            )  # fmt: skip
    write_exposures(home / "exposures", "w", 0, frame_of([chunk_of(lists)]))
    with EventLogWriter(home / "events", "w") as log:
        log.append_durably(events)


def said(home: Path, *options: str) -> str:
    words = ["estimate", "candidate", "--home", str(home), "--until-s", "100", *options]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_the_bundle_whose_favourites_are_watched_is_worth_more_than_what_was_served(
    tmp_path: Path, model: TwoStage
) -> None:
    published(tmp_path, model)
    lived(tmp_path, model)
    found = json.loads(said(tmp_path, "--json"))
    ours, served = found["ours"], found["served"]
    assert (ours["n_rows"], ours["n_users"], found["metric"]) == (N_LISTS, N_LISTS, "watch_rate")
    assert ours["snips"]["value"] > 0.9  # 1.0, but for equal scores that are told apart by their order
    assert served["snips"]["value"] < 0.1
    assert found["difference"]["lower"] > 0.5
    assert ours["largest_weight"] == pytest.approx(N_CHOICES)
    for report in (ours, served):
        for one in ("ips", "snips", "doubly_robust"):
            assert report[one]["lower"] <= report[one]["value"] <= report[one]["upper"]
    text = said(tmp_path)
    assert "as it was served" in text
    assert f"{N_LISTS} lists of {N_LISTS} users" in text


def test_without_lists_that_explored_there_is_nothing_to_say(tmp_path: Path, model: TwoStage) -> None:
    published(tmp_path, model)
    with pytest.raises(NotFoundError, match="exposures"):
        said(tmp_path)
    lived(tmp_path, model, explored=False)
    with pytest.raises(NotFoundError, match="list that explored"):
        said(tmp_path)


def test_a_metric_that_nobody_measures_is_refused(tmp_path: Path, model: TwoStage) -> None:
    published(tmp_path, model)
    lived(tmp_path, model)
    with pytest.raises(FieldError, match="watch_rate"):
        said(tmp_path, "--metric", "joy")
