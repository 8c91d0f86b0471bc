"""The kinds of panels: lines over time, a number, names, and stretches of time."""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, TypeVar

from grafana_foundation_sdk.builders import common as choose
from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.statetimeline import Panel as StateTimeline
from grafana_foundation_sdk.builders.timeseries import Panel as Timeseries
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardSpecialValueMapOptions,
    DataSourceRef,
    SpecialValueMap,
    SpecialValueMatch,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)

SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")

_NOTHING: Final = SpecialValueMap(
    DashboardSpecialValueMapOptions(SpecialValueMatch.NA_N, ValueMappingResult("no traffic"))
)
"""A share of nothing is no number."""

Panel = Timeseries | Stat | StateTimeline
_Kind = TypeVar("_Kind", Timeseries, Stat, StateTimeline)


class Query(NamedTuple):
    """What is asked, and what its lines are called."""

    expr: str
    legend: str = ""


def lines(
    title: str,
    what: str,
    unit: str,
    *queries: Query,
    width: int = 8,
    stacked: bool = False,
    most: float | None = None,
) -> Timeseries:
    """Return lines over time.

    Args:
        title: of the panel.
        what: it shows, and what to do about it.
        unit: by Grafana's name of it.
        queries: each gives one line or several.
        width: of 24 columns.
        stacked: on top of each other, where their sum means something.
        most: where the axis ends.
    """
    panel = (
        _placed(Timeseries(), title, what, unit, queries, width, height=8)
        .min(0)
        .fill_opacity(30 if stacked else 8)
        .line_width(1)
        .show_points(VisibilityMode.NEVER)
        .tooltip(choose.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
        .legend(_legend())
    )
    if stacked:
        panel.stacking(choose.StackingConfig().mode(StackingMode.NORMAL))
    return panel if most is None else panel.max(most)


def number(
    title: str,
    what: str,
    unit: str,
    query: str,
    *,
    limits: Mapping[float, str] | None = None,
    says: Mapping[str, str] | None = None,
) -> Stat:
    """Return what is so now, large, with its recent past behind it.

    Args:
        title: of the panel.
        what: it shows.
        unit: by Grafana's name of it.
        query: gives one series.
        limits: colours from a value on; green below.
        says: words for values.
    """
    return (
        _placed(Stat(), title, what, unit, [Query(query)], width=4, height=4)
        .graph_mode(BigValueGraphMode.AREA)
        .color_mode(BigValueColorMode.VALUE)
        .text_mode(BigValueTextMode.VALUE)
        .thresholds(_steps(limits or {}))
        .mappings([*_words(says or {}), _NOTHING])
    )


def named(title: str, what: str, query: str, legend: str, *, width: int = 4) -> Stat:
    """Return the names of whatever is there now."""
    return (
        _placed(Stat(), title, what, "short", [Query(query, legend)], width, height=4)
        .graph_mode(BigValueGraphMode.NONE)
        .color_mode(BigValueColorMode.NONE)
        .text_mode(BigValueTextMode.NAME)
        .no_value("none")
    )


def stretches(title: str, what: str, query: str, legend: str, *, says: str, width: int = 12) -> StateTimeline:
    """Return from when to when each thing was so: where its value is 1."""
    return (
        _placed(StateTimeline(), title, what, "short", [Query(query, legend)], width, height=6)
        .line_width(0)
        .fill_opacity(70)
        .mappings(_words({"1": says, "0": "no"}))
        .legend(choose.VizLegendOptions().show_legend(False))
        .tooltip(choose.VizTooltipOptions().mode(TooltipDisplayMode.SINGLE))
    )


def _placed(
    panel: _Kind, title: str, what: str, unit: str, queries: Iterable[Query], width: int, height: int
) -> _Kind:
    """Return a panel with what all kinds have."""
    panel.title(title).description(what).unit(unit).datasource(SOURCE).span(width).height(height)
    for letter, query in zip("ABCDEF", queries, strict=False):
        asked = Dataquery().expr(query.expr).legend_format(query.legend).range().datasource(SOURCE)
        panel.with_target(asked.ref_id(letter))
    return panel


def _legend() -> choose.VizLegendOptions:
    legend = choose.VizLegendOptions().show_legend(True).placement(LegendPlacement.BOTTOM)
    return legend.display_mode(LegendDisplayMode.LIST)


def _steps(limits: Mapping[float, str]) -> ThresholdsConfig:
    steps = [Threshold(None, "green"), *(Threshold(value, colour) for value, colour in limits.items())]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def _words(says: Mapping[str, str]) -> list[ValueMapping]:
    if not says:
        return []
    options = {value: ValueMappingResult(text, index=row) for row, (value, text) in enumerate(says.items())}
    return [ValueMap(options)]
