"""Dashboards are up to date, and nothing is in them that Grafana would stumble over."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from deployments.dashboards.files import dashboard_files, write
from deployments.dashboards.ray_metrics import RAY_METRICS
from deployments.metrics_table import all_described

CHART = Path(__file__).parents[3] / "charts" / "marquee" / "files"
NAMES = sorted(dashboard_files())
OURS = {one.name: one.kind for one in all_described()}
ALERTS = set(re.findall(r"- alert: (\w+)", (CHART / "alerts.yaml").read_text()))

every_dashboard = pytest.mark.parametrize("name", NAMES)


def board(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((CHART / "dashboards" / name).read_text())
    return read


def panels(name: str) -> list[dict[str, Any]]:
    return [panel for panel in board(name)["panels"] if panel["type"] != "row"]


def queries(name: str) -> list[str]:
    return [target["expr"] for panel in panels(name) for target in panel["targets"]]


def asked_for() -> set[str]:
    """Return the metrics of all queries; what belongs to a histogram by the histogram's name."""
    found = set(re.findall(r"\b(?:marquee|ray)_\w+(?=\{)", " ".join(dashboard_files().values())))
    parts = {name: re.sub(r"_(bucket|sum|count)$", "", name) for name in found}
    return {whole if OURS.get(whole) == "histogram" else name for name, whole in parts.items()}


@every_dashboard
def test_the_chart_has_what_the_code_makes(name: str) -> None:
    assert (CHART / "dashboards" / name).read_text() == dashboard_files()[name], "run: make chart"


def test_the_chart_has_no_dashboard_that_no_code_makes(tmp_path: Path) -> None:
    write(tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == NAMES
    assert sorted(path.name for path in (CHART / "dashboards").iterdir()) == NAMES


@every_dashboard
def test_grafanas_own_types_read_a_dashboard_and_lose_nothing(name: str) -> None:
    register_default_plugins()
    again = json.dumps(Dashboard.from_json(board(name)), cls=JSONEncoder)
    assert json.loads(again) == board(name)


@every_dashboard
def test_numbers_of_panels_are_unique_and_no_panel_covers_another(name: str) -> None:
    ids = [panel["id"] for panel in board(name)["panels"]]
    assert len(set(ids)) == len(ids)
    for one, other in combinations([panel["gridPos"] for panel in board(name)["panels"]], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above
    assert all(place["x"] + place["w"] <= 24 for place in (panel["gridPos"] for panel in panels(name)))


@every_dashboard
def test_every_panel_says_what_it_shows_and_in_which_unit(name: str) -> None:
    for panel in panels(name):
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"], panel["title"]
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters)


@every_dashboard
def test_a_number_of_a_service_that_nobody_asks_is_no_traffic(name: str) -> None:
    for panel in panels(name):
        if panel["type"] == "stat" and panel["options"]["textMode"] == "value":
            (said,) = [
                one for one in panel["fieldConfig"]["defaults"]["mappings"] if one["type"] == "special"
            ]
            assert said["options"] == {"match": "nan", "result": {"text": "no traffic"}}


@every_dashboard
def test_several_lines_have_names(name: str) -> None:
    for panel in panels(name):
        if panel["type"] != "stat":
            assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]


@every_dashboard
def test_every_series_is_of_the_release_that_is_chosen(name: str) -> None:
    chosen = {one["name"] for one in board(name)["templating"]["list"]}
    assert chosen == {"datasource", "namespace", "job", "docs"}
    for query in queries(name):
        picked = re.findall(r"\b(?:marquee|ray)_\w+(\{[^}]*)", query)
        assert picked
        assert all(one.startswith('{namespace="$namespace",job="$job"') for one in picked), query


def test_names_by_which_grafana_knows_them_differ() -> None:
    assert len({board(name)["uid"] for name in NAMES} | {board(name)["title"] for name in NAMES}) == 2 * len(
        NAMES
    )


def test_every_metric_that_is_asked_for_is_documented() -> None:
    assert {name for name in asked_for() if name.startswith("marquee")} <= set(OURS)
    assert {name for name in asked_for() if name.startswith("ray")} == set(RAY_METRICS)


def test_every_metric_of_ours_is_on_a_dashboard() -> None:
    assert set(OURS) <= asked_for()


def test_alerts_that_panels_name_are_there() -> None:
    named = set(re.findall(r"\bMarquee[A-Z]\w+", " ".join(dashboard_files().values())))
    assert named <= ALERTS
