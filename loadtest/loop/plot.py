"""The loop drawn: what lists were worth, day by day, with the moments marked. Needs matplotlib."""

from pathlib import Path
from typing import Final

from loadtest.loop.story import ALARM, CANARY, CONTROL, LOOP, PROMOTED, REFRESH, SHIFT, Story
from recsys.core.clock import SECONDS_PER_DAY
from recsys.core.svg import svg_of

_COLOURS: Final = {LOOP: "#0b6e4f", CONTROL: "#9a2a2a"}
_LABELS: Final = {LOOP: "refreshed by the loop", CONTROL: "control: the bundle of the first day"}
_MARKS: Final = {
    SHIFT: "#111827",
    ALARM: "#d97706",
    REFRESH: "#7c3aed",
    CANARY: "#2563eb",
    PROMOTED: "#0b6e4f",
}


def draw(story: Story, path: Path) -> None:
    """Write the picture as SVG."""
    from matplotlib.axes import Axes  # noqa: PLC0415 - an extra

    def put(axes: Axes) -> None:
        for service in dict.fromkeys(day.service for day in story.days):
            own = [day for day in story.days if day.service == service]
            axes.plot(
                [day.day + 0.5 for day in own],
                [day.true_rate for day in own],
                "o-",
                markersize=3,
                color=_COLOURS[service],
                label=_LABELS[service],
            )
        top = axes.get_ylim()[1]
        for place, (what, colour) in enumerate(_MARKS.items()):
            moment = story.moment(what)
            if moment is not None:
                day = (moment.at_s - story.begins_s) / SECONDS_PER_DAY
                axes.axvline(day, color=colour, linewidth=1.0, linestyle="--")
                axes.annotate(
                    what, (day, top), xytext=(2, -9 * (place + 1)), textcoords="offset points", color=colour
                )
        axes.set_xlabel("days of the world")
        axes.set_ylabel("chance that a shown video is watched")
        axes.legend(loc="lower right")

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(svg_of(put, height_in=4.0))
