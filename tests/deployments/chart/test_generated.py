from pathlib import Path
from typing import Any

import pytest

from deployments.chart.generated import generated_files, values_schema
from deployments.chart.values import ServeSettings
from deployments.settings import GraphArgs

CHARTS = Path(__file__).parents[3] / "charts"


@pytest.mark.parametrize("path", sorted(generated_files()))
def test_what_the_chart_takes_from_the_program_is_up_to_date(path: str) -> None:
    assert (CHARTS / path).read_text() == generated_files()[path], "run: make chart"


def test_every_setting_of_the_graph_can_be_set_or_is_placed_by_the_chart() -> None:
    placed = {"registry", "traffic", "state_url", "event_log", "metrics", "lanes"}
    assert set(GraphArgs.model_fields) - set(ServeSettings.model_fields) == placed


def test_objects_with_fields_take_no_others() -> None:
    with_fields = [(where, part) for where, part in _objects(values_schema()) if "properties" in part]
    open_ones = [where for where, part in with_fields if part.get("additionalProperties") is not False]
    assert open_ones == []


def test_maps_say_what_they_hold() -> None:
    """All but two: what a parent chart tells its parts, and what the API server itself checks."""
    free = {where for where, part in _objects(values_schema()) if part.get("additionalProperties") is True}
    assert {where.rsplit("/", 1)[-1] for where in free} == {"global", "affinity"}


def _objects(node: Any, where: str = "") -> list[tuple[str, dict[str, Any]]]:  # noqa: ANN401
    if isinstance(node, list):
        return [found for i, part in enumerate(node) for found in _objects(part, f"{where}/{i}")]
    if not isinstance(node, dict):
        return []
    here = [(where, node)] if node.get("type") == "object" else []
    return here + [found for key, part in node.items() for found in _objects(part, f"{where}/{key}")]
