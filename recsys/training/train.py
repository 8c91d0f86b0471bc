"""From a data set to a bundle in the registry."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson
import polars as pl
from pydantic import JsonValue

from recsys.core.errors import InputError
from recsys.core.hashing import digest_bytes
from recsys.data.log import InteractionLog, Vocabulary, encode
from recsys.data.schema import Dataset
from recsys.data.shown import encode_impressions
from recsys.drift.fit import fit_profile
from recsys.drift.profile import save_profile
from recsys.drift.served import with_served
from recsys.pipeline.stages import TwoStage
from recsys.ranking.matrix import FEATURE_SCHEMA
from recsys.registry.bundle import BundleWriter
from recsys.registry.manifest import FORMAT_VERSION
from recsys.registry.store import Registry
from recsys.registry.writer import BundleRef
from recsys.training.cross_fit import Step
from recsys.training.gate import GateConfig, pass_gate
from recsys.training.sample_lists import sample_lists
from recsys.training.two_stage import TrainingConfig, fit_two_stage


@dataclass(frozen=True, slots=True)
class Trained:
    """A bundle that has just been written, and how long its making took."""

    bundle: BundleRef
    model: TwoStage
    fit_s: float
    write_s: float


def training_key(data_fingerprint: str, config: TrainingConfig) -> str:
    """Name what a training run would make, 16 hex digits: equal data, settings and format, equal key."""
    parts = [data_fingerprint, f"{FORMAT_VERSION}", FEATURE_SCHEMA, config.model_dump_json()]
    return digest_bytes("\n".join(parts).encode())[:16]


def find_trained(registry: Registry, key: str) -> str | None:
    """Return the name of the newest bundle that was trained under this key, None when there is none."""
    for info in registry.list():
        if info.manifest is not None and info.manifest.meta.get("training_key") == key:
            return info.name
    return None


def train(
    dataset: Dataset,
    registry: Registry,
    config: TrainingConfig,
    *,
    key: str,
    now_s: float,
    gate: GateConfig | None = None,
    passed: Mapping[str, float] | None = None,
    impressions: pl.DataFrame | None = None,
    lake_versions: Mapping[str, int] | None = None,
    on_step: Step = lambda _, __: None,
) -> Trained:
    """Fit the whole pipeline on everything and publish it; no channel names it yet.

    Args:
        dataset: interactions and catalogue.
        registry: where the bundle goes.
        config: settings.
        key: what :func:`training_key` said; kept in the manifest, so that nothing is trained twice.
        now_s: Unix time, kept in the manifest.
        gate: what the pipeline must not be worse than; None: publish whatever comes.
        passed: what the gate said, where the same settings have passed it already; for the manifest.
        impressions: what was shown, schema :data:`recsys.data.impressions.IMPRESSIONS`; asked for where a
            target has a weight.
        lake_versions: of the tables that the data set was read from, kept in the manifest so that it can be
            read again; None: it comes from no lake.
        on_step: told what is being done.

    Raises:
        InputError: nothing can be learned from the data.
        UnavailableError: a target has a weight, and nobody knows the answers to it.
        GateClosedError: the pipeline is worse than a baseline.
    """
    vocabulary = Vocabulary(dataset.items["item_id"].to_list())
    log = encode(dataset, vocabulary)
    if log.n_users == 0:
        raise InputError(f"data set {dataset.name}: no positive interaction with an item of the catalogue")
    date = datetime.fromtimestamp(now_s, UTC).date().isoformat()
    shown = None if impressions is None else encode_impressions(impressions, vocabulary, log)
    scores = (
        dict(passed or {})
        if gate is None
        else pass_gate(log, dataset.items, config, gate, date=date, shown=shown, on_step=on_step)
    )
    started = time.perf_counter()
    model = fit_two_stage(log, dataset.items, config, shown=shown, on_step=on_step)
    fitted = time.perf_counter()
    on_step("writing the bundle", 0.0)
    meta = facts_of(
        log,
        model,
        config,
        key=key,
        data=dataset.name,
        lake_versions=lake_versions,
        fit_s=fitted - started,
        gate=scores,
    )
    fill = with_profile(model, log, dataset, config)
    bundle = registry.publish(fill, feature_schema=FEATURE_SCHEMA, created_s=now_s, meta=meta)
    return Trained(bundle, model, fitted - started, time.perf_counter() - fitted)


def with_profile(
    model: TwoStage, log: InteractionLog, dataset: Dataset, config: TrainingConfig
) -> Callable[[BundleWriter], None]:
    """Return what writes a pipeline and what the data and its lists look like, to find drift by."""
    profiled = fit_profile(dataset, config.profile, seed=config.seed)

    def fill(writer: BundleWriter) -> None:
        model.save(writer)
        if profiled is not None:
            lists = sample_lists(model, log, profiled.profile, seed=config.seed)
            served = with_served(profiled, lists, dataset.items, seed=config.seed)
            save_profile(writer, served, profiled.ranks)

    return fill


def facts_of(
    log: InteractionLog,
    model: TwoStage,
    config: TrainingConfig,
    *,
    key: str,
    data: str,
    lake_versions: Mapping[str, int] | None,
    fit_s: float,
    gate: Mapping[str, float],
) -> dict[str, JsonValue]:
    """Return what a bundle's manifest says of its making."""
    settings: JsonValue = orjson.loads(config.model_dump_json())
    return {
        "training_key": key,
        "data": data,
        **({} if lake_versions is None else {"lake": dict(lake_versions)}),
        "n_users": log.n_users,
        "n_items": log.n_items,
        "n_positions": len(log.item_rows),
        "as_of_s": float(log.times_s.max(initial=0.0)),
        "fit_s": round(fit_s, 1),
        "gate": dict(gate),
        "index_recall": {
            name: getattr(model.recall.sources, name).index.measured_recall
            for name in ("sequential", "bilinear", "svd", "tags")
        },
        "settings": settings,
    }
