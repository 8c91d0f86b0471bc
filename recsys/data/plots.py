"""Pictures of a data set; needs the extra ``plots``."""

from pathlib import Path

import numpy as np
import polars as pl
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recsys.core.clock import SECONDS_PER_DAY
from recsys.data.describe import items_by_popularity, positive_rows
from recsys.data.schema import Dataset

_BLUE = "#2b6cb0"
_MOST_BARS = 120  # more days than this are drawn by the week, or month


def draw(dataset: Dataset, folder: Path) -> list[Path]:
    """Draw events over time, items by popularity, history lengths and kinds; returns the PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    drawings = {
        "events_over_time": _events_over_time,
        "items_by_popularity": _items_by_popularity,
        "history_lengths": _history_lengths,
        "kinds": _kinds,
    }
    files = []
    for name, drawing in drawings.items():
        figure = Figure(figsize=(8, 4.5), layout="constrained")
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        files.append(folder / f"{name}.png")
        with rc_context({"date.converter": "concise"}):
            drawing(dataset, axes)
            figure.savefig(files[-1], dpi=110)
    return files


def _events_over_time(dataset: Dataset, axes: Axes) -> None:
    times_s = dataset.interactions["time_s"].to_numpy()
    axes.set_title(f"{dataset.name}: interactions over time")
    if times_s.size == 0:
        return
    span_days = (times_s.max() - times_s.min()) / SECONDS_PER_DAY
    width_days, each = next(
        (
            (days, name)
            for days, name in ((1, "day"), (7, "week"), (30, "30 days"))
            if span_days / days <= _MOST_BARS
        ),
        (91, "91 days"),
    )
    day, n = np.unique(times_s // (SECONDS_PER_DAY * width_days), return_counts=True)
    starts = (day * SECONDS_PER_DAY * width_days).astype("datetime64[s]")
    axes.bar(starts, n, width=np.timedelta64(width_days, "D"), align="edge", color=_BLUE)
    axes.set_ylabel(f"interactions per {each}")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("time (UTC)")


def _items_by_popularity(dataset: Dataset, axes: Axes) -> None:
    counts = items_by_popularity(dataset)["n"].to_numpy()
    chosen = counts[counts > 0]
    axes.set_title(f"{dataset.name}: items by popularity ({len(counts) - len(chosen):,} never chosen)")
    axes.set_xlabel("rank of the item")
    axes.set_ylabel("positive interactions")
    if chosen.size:
        axes.loglog(np.arange(1, len(chosen) + 1), chosen, color=_BLUE, linewidth=2)
    axes.grid(alpha=0.3)


def _history_lengths(dataset: Dataset, axes: Axes) -> None:
    """Draw how many users have at least so many; bars would need bins, and bins of whole numbers lie."""
    lengths = np.sort(positive_rows(dataset.interactions).group_by("user_id").len()["len"].to_numpy())
    axes.set_title(f"{dataset.name}: positive interactions per user")
    axes.set_xlabel("positive interactions")
    axes.set_ylabel("users with at least so many")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.grid(alpha=0.3)
    if lengths.size:
        at_least = np.arange(lengths.size, 0, -1)
        axes.step(lengths, at_least, where="pre", color=_BLUE, linewidth=2)
        axes.set_xscale("log")
        axes.set_ylim(0, lengths.size * 1.05)
        median = float(np.median(lengths))
        axes.axvline(median, color="black", linestyle="--", linewidth=1)
        axes.text(median, 0.97, f"  median {median:g}", transform=axes.get_xaxis_transform(), va="top")


def _kinds(dataset: Dataset, axes: Axes) -> None:
    counted = dataset.interactions["kind"].cast(pl.String()).value_counts(name="n").sort("n")
    axes.set_title(f"{dataset.name}: kinds of interaction")
    axes.set_xlabel("interactions (logarithmic)")
    bars = axes.barh(counted["kind"].to_list(), counted["n"].to_numpy(), color=_BLUE)
    axes.bar_label(bars, labels=[f"{n:,}" for n in counted["n"]], padding=4)
    if counted.height:
        axes.set_ylim(min(-0.6, counted.height / 2 - 2.0), max(counted.height - 0.4, 1.5))
        axes.set_xscale("log")
        axes.set_xlim(0.8, float(counted["n"].to_numpy().max()) * 5)
