"""A dashboard: rows of panels, what is chosen above them, and where to read on."""

import json
from collections.abc import Iterable
from typing import Final, NamedTuple

from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    QueryVariable,
    TextBoxVariable,
)
from grafana_foundation_sdk.builders.dashboard import Row as RowPanel
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    VariableRefresh,
    VariableSort,
)

from deployments.dashboards.panels import SOURCE, Panel

_TAG: Final = "marquee"
_RELEASES: Final = "marquee_traffic_version"  # every router has it


class Row(NamedTuple):
    """Panels under one heading, from left to right."""

    title: str
    panels: tuple[Panel, ...]


def dashboard(title: str, uid: str, what: str, rows: Iterable[Row]) -> str:
    """Return a dashboard as Grafana imports it."""
    made = (
        Dashboard(f"Marquee: {title}")
        .uid(uid)
        .description(f"{what} Metrics: docs/metrics.md; what to do: docs/runbooks.md.")
        .tags([_TAG])
        .readonly()
        .timezone("browser")
        .time("now-1h", "now")
        .refresh("30s")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(DashboardLink("Marquee").type(DashboardLinkType.DASHBOARDS).tags([_TAG]).include_vars(True))
        .link(_page("Metrics", "metrics.md"))
        .link(_page("Runbooks", "runbooks.md"))
    )
    for variable in _variables():
        made.with_variable(variable)
    number_of = iter(range(1, 1_000))  # the SDK numbers nothing, and Grafana needs it
    for row in rows:
        made.with_row(RowPanel(row.title).id(next(number_of)))
        for panel in row.panels:
            made.with_panel(panel.id(next(number_of)))
    return json.dumps(made.build(), cls=JSONEncoder, indent=1, sort_keys=True) + "\n"


def _variables() -> list[DatasourceVariable | QueryVariable | TextBoxVariable]:
    """Return what is chosen above the panels: from where, and which release."""
    return [
        DatasourceVariable("datasource").label("Prometheus").type("prometheus"),
        _values("namespace", f"label_values({_RELEASES}, namespace)"),
        _values("job", f'label_values({_RELEASES}{{namespace="$namespace"}}, job)'),
        TextBoxVariable("docs").label("Docs at").default_value("docs"),
    ]


def _values(name: str, query: str) -> QueryVariable:
    return (
        QueryVariable(name)
        .label(name.capitalize())
        .datasource(SOURCE)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
    )


def _page(title: str, page: str) -> DashboardLink:
    return (
        DashboardLink(title)
        .type(DashboardLinkType.LINK)
        .icon("doc")
        .url(f"${{docs}}/{page}")
        .target_blank(True)
    )
