"""Engagement as streams of users, for the detectors of changes; without river there is nothing to say."""

import importlib.util

import polars as pl

from recsys.drift.features import EVENT_FEATURES
from recsys.drift.fit import per_user
from recsys.drift.found import StreamChange
from recsys.drift.profile import Reference
from recsys.drift.rows import rows_of


def stream_changes(reference: Reference, interactions: pl.DataFrame, *, seed: int = 0) -> list[StreamChange]:
    """Return the first change that each detector finds in each stream; nothing where river is not installed.

    Args:
        reference: of the bundle.
        interactions: schema :data:`recsys.data.schema.INTERACTIONS`, of whole windows.
        seed: of the calibration.
    """
    if importlib.util.find_spec("river") is None:
        return []
    from recsys.drift.change_points import ChangeConfig, calibrate, changes  # noqa: PLC0415 - an extra

    ordered = interactions.sort("time_s", maintain_order=True)
    rows = rows_of(ordered, reference.facts, reference.profile.window_s).with_columns(ordered["time_s"])
    first_s = rows.group_by("user_id", "window", maintain_order=True).agg(pl.col("time_s").first())
    found = []
    for name, quantiles in reference.profile.streams.items():
        means = per_user(EVENT_FEATURES[name].take(rows)).join(
            first_s, on=["user_id", "window"], maintain_order="left"
        )
        if means.is_empty() or quantiles[0] == quantiles[-1]:
            continue
        stream = means.sort("time_s", maintain_order=True)
        known = calibrate(quantiles, ChangeConfig(), seed=seed)
        met = changes(stream["value"].to_numpy(), stream["time_s"].to_numpy(), known)
        found += [StreamChange(feature=name, **change.model_dump()) for change in met]
    return found
