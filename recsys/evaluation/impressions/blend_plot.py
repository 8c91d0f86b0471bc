"""What weights of targets gain against what they lose; needs the extra ``plots``."""

from pathlib import Path

from matplotlib.figure import Figure

from recsys.evaluation.impressions.blend_curve import BlendCurve, weights_named

_COLOURS = ("#2b6cb0", "#c05621", "#2f855a")


def draw_curve(curve: BlendCurve, folder: Path) -> Path:
    """Draw next items against the GAUC of each target, a point per blend; returns the PNG file."""
    folder.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(7.0, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    next_items = [point.next_item.value for point in curve.points]
    for target, colour in zip(curve.points[0].gauc, _COLOURS, strict=False):
        gained = [point.gauc_gained[target] for point in curve.points]
        values = [one.value for one in gained]
        below = [one.value - one.low for one in gained]
        above = [one.high - one.value for one in gained]
        axes.errorbar(
            values, next_items, xerr=[below, above], fmt="o", color=colour, alpha=0.8, label=target.value
        )
    first = next(iter(curve.points[0].gauc))
    for point in curve.points:
        axes.annotate(
            weights_named(point.weights),
            (point.gauc_gained[first].value, point.next_item.value),
            xytext=(5, 5),
            textcoords="offset points",
            fontsize=7,
        )
    axes.axhline(next_items[0], color="#a0aec0", linewidth=1)
    axes.set_xlabel("GAUC gained over the ranker alone")
    axes.set_ylabel(f"next item, {curve.metric.upper()}")
    axes.set_ylim(bottom=0.0)
    axes.set_title(f"{curve.data}: blends of the ranker and of targets", fontsize=10)
    axes.legend(frameon=False, loc="lower left")
    path = folder / "gained_against_lost.png"
    figure.savefig(path, dpi=110)
    return path
