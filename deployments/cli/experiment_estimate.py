"""``marquee experiment estimate``: what another bundle would have been worth where lists explored."""

from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Column, Table

from deployments.cli.experiment_change import DEFAULT_HOME, HomeOption, JsonOption
from deployments.door import OPEN_DOOR, Door
from recsys.cli.places import RegistryBesideOption
from recsys.core.clock import SECONDS_PER_DAY, unix_clock
from recsys.core.errors import NotFoundError
from recsys.core.pseudonyms import Pseudonyms, door_key_for
from recsys.core.settings import FrozenModel
from recsys.data.formats import load_dataset
from recsys.data.log import InteractionLog, Vocabulary, encode
from recsys.data.schema import INTERACTIONS, KIND_DTYPE, Dataset
from recsys.eventlog.exposure import key_for
from recsys.eventlog.exposure_reader import scan_exposures
from recsys.experiments.explored import explored_places, logged_choices
from recsys.experiments.feedback import join_feedback
from recsys.experiments.off_policy import (
    Estimate,
    LoggedChoices,
    OffPolicyEstimates,
    cross_fitted,
    difference,
    estimate,
)
from recsys.experiments.reactions import read_reactions
from recsys.features.users import NO_ITEM, UserBatch, batch_at
from recsys.pipeline.stages import TwoStage
from recsys.ranking.matrix import FEATURE_SCHEMA
from recsys.registry.open import open_registry
from recsys.registry.reader import open_bundle

_KINDS = KIND_DTYPE.categories.to_list()


class BundleEstimate(FrozenModel):
    """What a bundle's order would have been worth at the places that chance filled."""

    bundle: str
    metric: str
    alpha: float
    ours: OffPolicyEstimates
    """The bundle's best of the choices."""
    served: OffPolicyEstimates
    """The item that the serving ranking had put there."""
    difference: Estimate
    """Ours less served, doubly robust."""


def print_estimate(
    bundle: Annotated[str, typer.Argument(help="A channel, a bundle's name, or the beginning of one.")],
    *,
    home: HomeOption = DEFAULT_HOME,
    registry: RegistryBesideOption = None,
    metric: Annotated[
        str, typer.Option(help="watch_rate, click_rate, like_rate, skip_rate or choice_rate.")
    ] = "watch_rate",
    days: Annotated[float, typer.Option(min=0, help="How far to look back.")] = 30.0,
    data: Annotated[Path | None, typer.Option(help="Data set that users' histories began with.")] = None,
    alpha: Annotated[float, typer.Option(min=1e-9, max=0.5, help="Odds that an interval misses.")] = 0.05,
    until_s: Annotated[float | None, typer.Option(help="As of this Unix time; now.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a bundle's order would have been worth at the places that chance filled in served lists."""
    now_s = unix_clock() if until_s is None else until_s
    opened = open_bundle(
        open_registry(registry or str(home / "registry")).get(bundle), feature_schema=FEATURE_SCHEMA
    )
    places, past = _read(home, metric, now_s - days * SECONDS_PER_DAY, now_s, data)
    found = _estimated(TwoStage.load(opened), opened.name, places, past, metric, alpha)
    if as_json:
        typer.echo(found.model_dump_json())
    else:
        _print(found)


def _read(
    home: Path, metric: str, since_s: float, until_s: float, data: Path | None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the explored places, and all that users did, columns of INTERACTIONS with pseudonyms."""
    key = key_for(home / "exposures")
    if not key.is_file():
        raise NotFoundError("exposures", str(home / "exposures"))
    pseudonyms = Pseudonyms.of_file(key)
    reactions = read_reactions(
        home / "events", pseudonyms, on_damage=lambda damage: typer.echo(damage, err=True)
    )
    exposures = scan_exposures(home / "exposures", since_s=since_s, until_s=until_s)
    places = explored_places(exposures, join_feedback(exposures, reactions), metric)
    if places.is_empty():
        raise NotFoundError("list that explored", f"the last {(until_s - since_s) / SECONDS_PER_DAY:g} days")
    past = [_as_interactions(reactions)]
    if data is not None:
        seeded = load_dataset(data, now_s=until_s).dataset.interactions
        door_key = door_key_for(home / "events")
        door = Door(Pseudonyms.of_file(door_key)) if door_key.is_file() else OPEN_DOOR
        names = {user: pseudonyms.of(door.name(user)) for user in seeded["user_id"].unique().to_list()}
        past.insert(0, seeded.with_columns(pl.col("user_id").replace_strict(names)))
    return places, pl.concat(past)


def _as_interactions(reactions: pl.DataFrame) -> pl.DataFrame:
    return (
        reactions.filter(pl.col("kind").cast(pl.String).is_in(_KINDS))
        .select(
            user_id="user_pseudonym",
            item_id="item_id",
            kind=pl.col("kind").cast(pl.String).cast(KIND_DTYPE),
            time_s="time_s",
            value="value",
            context=pl.lit(None, dtype=pl.String),
        )
        .match_to_schema(INTERACTIONS)
    )


def _estimated(
    model: TwoStage, name: str, places: pl.DataFrame, past: pl.DataFrame, metric: str, alpha: float
) -> BundleEstimate:
    catalogue = model.recall.catalogue
    logged = logged_choices(places)
    log = encode(Dataset("past", past, catalogue.frame), catalogue.items)
    users = _as_they_were(places, log, model)
    scores = _flat_scores(model, users, places, logged)
    predicted = cross_fitted(logged, _features(logged, scores, places))
    ours, served = logged.best(scores), logged.own()
    return BundleEstimate(
        bundle=name,
        metric=metric,
        alpha=alpha,
        ours=estimate(logged, ours, predicted=predicted, alpha=alpha),
        served=estimate(logged, served, predicted=predicted, alpha=alpha),
        difference=difference(logged, ours, served, predicted=predicted, alpha=alpha),
    )


def _as_they_were(places: pl.DataFrame, log: InteractionLog, model: TwoStage) -> UserBatch:
    """Return who was asked with the past they had at that moment; of anonymous traffic none is known."""
    rows = Vocabulary(log.user_ids).rows([who or "" for who in places["user_pseudonym"].to_list()])
    asked_s = places["served_at_s"].to_numpy()
    known = np.maximum(rows, 0).astype(np.int64)
    stops = np.array(
        [
            log.offsets[user] + np.searchsorted(log.times_s[log.offsets[user] : log.offsets[user + 1]], at_s)
            if row >= 0
            else log.offsets[user]
            for row, user, at_s in zip(rows.tolist(), known.tolist(), asked_s.tolist(), strict=True)
        ],
        dtype=np.int64,
    )
    contexts = [model.recall.catalogue.context_row(context) for context in places["context"].to_list()]
    return batch_at(log, known, stops, asked_s, np.array(contexts, dtype=np.int16))


def _flat_scores(
    model: TwoStage, users: UserBatch, places: pl.DataFrame, logged: LoggedChoices
) -> NDArray[np.float64]:
    """Return the score of every choice, shape (choices,); the lowest of one that the bundle does not know."""
    lengths = np.diff(logged.offsets)
    item_rows = np.full((logged.n_rows, int(lengths.max())), NO_ITEM, dtype=np.int32)
    taken = np.arange(item_rows.shape[1]) < lengths[:, None]
    item_rows[taken] = model.recall.catalogue.items.rows(places["choices"].explode().to_list())
    scores = model.scores(users, item_rows)[taken].astype(np.float64)
    floor = scores[np.isfinite(scores)].min(initial=0.0) - 1.0
    return np.where(np.isfinite(scores), scores, floor)


def _features(
    logged: LoggedChoices, scores: NDArray[np.float64], places: pl.DataFrame
) -> NDArray[np.float64]:
    """Return what rewards are predicted from: score, score within the row, served or not, place."""
    lengths = np.diff(logged.offsets)
    apart = scores - (logged.sums(scores) / lengths)[logged.rows]
    looked = 1.0 / places["rank"].to_numpy().astype(np.float64)
    return np.column_stack([scores, apart, logged.own(), looked[logged.rows]])


def _print(found: BundleEstimate) -> None:
    ours = found.ours
    table = Table(
        found.metric,
        *(Column(name, justify="right") for name in ("IPS", "SNIPS", "doubly robust")),
        title=f"where chance decided in {ours.n_rows:,} lists of {ours.n_users:,} users",
        title_justify="left",
    )
    for label, each in ((f"bundle {found.bundle}", ours), ("as it was served", found.served)):
        table.add_row(label, _cell(each.ips), _cell(each.snips), _cell(each.doubly_robust))
    Console().print(table)
    typer.echo(
        f"difference: {_cell(found.difference)}, {1 - found.alpha:.0%} sure\n"
        f"the bundle would have shown what was shown in {ours.agreement:.1%} of the lists: "
        f"as good as {ours.effective_rows:,.0f} lists of its own (largest weight {ours.largest_weight:.0f})"
    )


def _cell(found: Estimate | None) -> str:
    return "" if found is None else f"{found.value:.4f} [{found.lower:.4f}, {found.upper:.4f}]"
