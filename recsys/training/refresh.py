"""A fresher bundle out of an older one and everything that is known by now.

The dear part of recall, the sequential regression, is brought up to date by what is different (see
:mod:`recsys.recall.counted`); the cheap parts are fitted again. The ranker is kept: it has learned what
scores mean, which changes slowly, and its honest rows cost several fits of recall. Without a bundle before,
or when asked to, everything is made from scratch, by the same code that :func:`recsys.training.train.train`
runs.

The bundle comes first and its sums after it. Who is killed in between leaves a bundle without sums, and the
next refresh counts everything.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import polars as pl
from pydantic import JsonValue, PositiveInt, ValidationError

from recsys.core.errors import InputError
from recsys.core.settings import FrozenModel
from recsys.data.log import InteractionLog, Vocabulary, encode
from recsys.data.schema import Dataset
from recsys.pipeline.stages import TwoStage
from recsys.ranking.boosting import BoostedRanker
from recsys.ranking.matrix import FEATURE_SCHEMA
from recsys.recall.counted import Counted, Difference, counted, recounted
from recsys.recall.sequential import solve_sequential
from recsys.registry.manifest import Manifest
from recsys.registry.reader import open_bundle
from recsys.registry.store import Registry
from recsys.registry.writer import BundleRef
from recsys.training.cross_fit import Step
from recsys.training.data_checks import DataChecks, check_data
from recsys.training.gate import GateConfig, held_out_of_some, pass_gate, pass_with
from recsys.training.growing import grown
from recsys.training.kept_sums import keep_sums, sums_of, tidy_sums
from recsys.training.train import facts_of, with_profile
from recsys.training.two_stage import (
    TrainingConfig,
    assembled,
    fit_from_rows,
    fit_parts,
    heads_of,
    serving_knowledge,
)

RankerOf = Literal["keep", "continue", "refit"]
"""What becomes of the trees of the bundle before."""


class RefreshConfig(FrozenModel):
    """How a bundle is made fresher."""

    ranker: RankerOf = "keep"
    """``continue`` adds trees grown on what is new; ``refit`` takes most of a full training."""

    more_trees: PositiveInt = 20
    """So many are added when the ranker is continued."""

    most_trees: PositiveInt = 500
    """A ranker with as many is kept as it is, for every tree takes time in every request."""

    gate: GateConfig | None = GateConfig()
    """What the new bundle must not be worse than; None: nothing is asked."""

    checks: DataChecks = DataChecks()
    """What the data must be."""


@dataclass(frozen=True, slots=True)
class Parent:
    """What is taken over from the bundle before."""

    bundle: str
    training: TrainingConfig
    model: TwoStage
    ranker_from: str  # the bundle for which its first trees were grown
    as_of_s: float | None  # time of the latest event that it knows; None: it does not say
    n_positions: int | None
    sums: Counted | None  # None: none that could be used


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A bundle that has just been written, and what it took."""

    bundle: BundleRef
    difference: Difference | None  # None: everything was counted
    seconds: Mapping[str, float]  # per step
    gate: Mapping[str, float]


def training_of(registry: Registry, ref: str) -> TrainingConfig:
    """Return the settings by which a bundle was made; nothing but its manifest is read.

    Raises:
        NotFoundError: there is no such bundle.
        BundleError: its manifest cannot be used.
        InputError: it does not say.
    """
    return _settings_in(Manifest.read(registry.get(ref)))


def _settings_in(manifest: Manifest) -> TrainingConfig:
    try:
        return TrainingConfig.model_validate(manifest.meta.get("settings"))
    except ValidationError as error:
        raise InputError(f"bundle {manifest.name}: its settings are not known; give --config") from error


def read_parent(registry: Registry, sums: Registry, ref: str, training: TrainingConfig | None) -> Parent:
    """Read what a refresh takes over.

    Args:
        registry: of the bundles.
        sums: see :func:`recsys.training.kept_sums.open_sums`.
        ref: a bundle's name, the beginning of one, or a channel.
        training: settings from now on; None: those of the bundle.

    Raises:
        NotFoundError: there is no such bundle.
        BundleError: it cannot be used.
        InputError: its manifest does not say by which settings it was made.
    """
    reader = open_bundle(registry.get(ref), feature_schema=FEATURE_SCHEMA)
    meta = reader.manifest.meta
    if training is None:
        training = _settings_in(reader.manifest)
    n_before, grown_for, as_of_s = (meta.get(name) for name in ("n_positions", "ranker_from", "as_of_s"))
    return Parent(
        reader.name,
        training,
        TwoStage.load(reader),
        grown_for if isinstance(grown_for, str) else reader.name,
        float(as_of_s) if isinstance(as_of_s, int | float) else None,
        n_before if isinstance(n_before, int) else None,
        sums_of(sums, reader.name, training.knowledge.recall.sequential),
    )


def refresh(
    dataset: Dataset,
    registry: Registry,
    sums: Registry,
    parent: Parent | None,
    training: TrainingConfig,
    config: RefreshConfig,
    *,
    key: str,
    now_s: float,
    lake_versions: Mapping[str, int] | None = None,
    on_step: Step = lambda _, __: None,
) -> Refreshed:
    """Make a bundle of everything that is known and publish it with its sums; no channel names it yet.

    Args:
        dataset: interactions and catalogue, all of them.
        registry: of the bundles.
        sums: where their sums are kept.
        parent: what is taken over; None: everything is made from scratch.
        training: settings; ``parent.training`` to leave them as they are.
        config: what is kept and what is checked.
        key: what :func:`recsys.training.train.training_key` said.
        now_s: Unix time, kept in the manifest.
        lake_versions: of the tables that the data set was read from, kept in the manifest too.
        on_step: told what is being done.

    Raises:
        InputError: nothing can be learned from the data.
        DataRefusedError: they look wrong.
        GateClosedError: the new pipeline is worse than a baseline.
    """
    items = dataset.items
    log = encode(dataset, Vocabulary(items["item_id"].to_list()))
    if log.n_users == 0:
        raise InputError(f"data set {dataset.name}: no positive interaction with an item of the catalogue")
    timer = _Timer(on_step)
    timer.step("data checks")
    n_before = None if parent is None else parent.n_positions
    check_data(dataset, config.checks, n_before=n_before, n_now=len(log.item_rows), now_s=now_s)
    timer.step("sums")
    now, difference = _counted(log, items, parent, training)
    timer.step("ranker")
    ranker = None if parent is None else _ranker_of(parent, dataset, training, config)
    timer.step("gate")
    date = datetime.fromtimestamp(now_s, UTC).date().isoformat()
    scores = {} if config.gate is None else _gate(log, items, now, ranker, training, config.gate, date)
    timer.step("pipeline")
    model = pipeline_over(log, items, now, ranker, training, on_step)
    timer.step("writing the bundle")
    fit_s = timer.seconds("sums", "ranker", "pipeline")
    meta = facts_of(
        log,
        model,
        training,
        key=key,
        data=dataset.name,
        lake_versions=lake_versions,
        fit_s=fit_s,
        gate=scores,
    )
    meta |= _descent(parent, difference, kept=ranker is not None)
    fill = with_profile(model, log, dataset, training)
    bundle = registry.publish(fill, feature_schema=FEATURE_SCHEMA, created_s=now_s, meta=meta)
    timer.step("writing the sums")
    keep_sums(sums, now, training.knowledge.recall.sequential, bundle=bundle.name, now_s=now_s)
    tidy_sums(sums, registry, newest=bundle.name)
    return Refreshed(bundle, difference, timer.done(), scores)


def _counted(
    log: InteractionLog, items: pl.DataFrame, parent: Parent | None, training: TrainingConfig
) -> tuple[Counted, Difference | None]:
    item_ids, config = items["item_id"].to_list(), training.knowledge.recall.sequential
    if parent is None or parent.sums is None:
        return counted(log, item_ids, config), None
    return recounted(parent.sums, log, item_ids, config)


def _ranker_of(
    parent: Parent, dataset: Dataset, training: TrainingConfig, config: RefreshConfig
) -> BoostedRanker | None:
    """Return the ranker to take over; None: new trees are to be grown."""
    ranker = parent.model.ranking.ranker
    if config.ranker == "refit":
        return None
    if config.ranker == "keep" or parent.as_of_s is None or ranker.n_trees >= config.most_trees:
        return ranker
    return grown(parent.model, dataset, parent.as_of_s, training, config.more_trees)


def pipeline_over(
    log: InteractionLog,
    items: pl.DataFrame,
    now: Counted,
    ranker: BoostedRanker | None,
    training: TrainingConfig,
    on_step: Step = lambda _, __: None,
) -> TwoStage:
    """Return the pipeline over a log whose sums are ``now``; without a ranker one is grown."""
    on_step("recall: solving", 0.0)
    config = training.knowledge.recall.sequential
    sequential = solve_sequential(now.moments, log.n_items, config, seed=training.seed)
    if ranker is not None:
        known = serving_knowledge(log, items, training, sequential=sequential, on_step=on_step)
        return assembled(known, ranker, items, log, training, heads_of(None, log, known, training))
    rows, known = fit_parts(log, items, training, sequential=sequential, on_step=on_step)
    return fit_from_rows(log, items, training, rows, known, on_step=on_step)


def _gate(
    log: InteractionLog,
    items: pl.DataFrame,
    now: Counted,
    ranker: BoostedRanker | None,
    training: TrainingConfig,
    gate: GateConfig,
    date: str,
) -> dict[str, float]:
    """Pass the gate; with a kept ranker by sums less the answers, so that recall has not seen them.

    The kept ranker may have: its trees were grown on questions of users who may be asked here.
    """
    if ranker is None:
        return pass_gate(log, items, training, gate, date=date)
    split = held_out_of_some(log, gate, seed=training.seed)
    item_ids, config = items["item_id"].to_list(), training.knowledge.recall.sequential

    def refreshed(past: InteractionLog, catalogue: pl.DataFrame) -> TwoStage:
        then, _ = recounted(now, past, item_ids, config)
        return pipeline_over(past, catalogue, then, ranker, training)

    return pass_with(refreshed, split, items, gate, date=date, seed=training.seed)


def _descent(parent: Parent | None, difference: Difference | None, *, kept: bool) -> dict[str, JsonValue]:
    """Return what the manifest says of where a bundle comes from."""
    if parent is None:
        return {}
    facts: dict[str, JsonValue] = {"parent": parent.bundle}
    if kept:
        facts["ranker_from"] = parent.ranker_from
    if difference is not None:
        facts["refresh"] = {name: getattr(difference, name) for name in Difference.__slots__}
    return facts


class _Timer:
    """Says what is being done, and remembers how long it took."""

    def __init__(self, on_step: Step) -> None:
        self._on_step = on_step
        self._seconds: dict[str, float] = {}
        self._name, self._began_s = "", time.perf_counter()

    def seconds(self, *steps: str) -> float:
        return sum(self._seconds[step] for step in steps)

    def step(self, name: str) -> None:
        self.done()
        self._name = name
        self._on_step(name, 0.0)

    def done(self) -> dict[str, float]:
        now_s = time.perf_counter()
        if self._name:
            self._seconds[self._name] = now_s - self._began_s
        self._began_s = now_s
        return dict(self._seconds)
