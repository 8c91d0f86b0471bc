"""The documents name the metrics that there are."""

import re
from pathlib import Path

import pytest

from deployments.metrics_table import all_described, renewed

ROOT = Path(__file__).parents[2]
OF_TARGETS = {"job", "instance", "namespace", "pod", "container", "service", "endpoint", "le", "quantile"}
PARTS = {"counter": ("",), "gauge": ("",), "histogram": ("", "_bucket", "_sum", "_count")}
ALL = list(all_described())
KNOWN = {one.name + part for one in ALL for part in PARTS[one.kind]}
NAMING = [*sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "charts").rglob("alerts.yaml"))]


def test_the_table_is_the_one_of_the_code() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    assert page == renewed(page), "run: python -m deployments.metrics_table docs/metrics.md"


@pytest.mark.parametrize("path", NAMING, ids=lambda path: path.name)
def test_a_page_names_only_metrics_that_there_are(path: Path) -> None:
    named = set(re.findall(r"\bmarquee_[a-z_]+\b", path.read_text()))
    assert named <= KNOWN


def test_no_label_is_one_that_prometheus_adds() -> None:
    assert [one.name for one in ALL if OF_TARGETS & set(one.labels)] == []


def test_every_metric_says_what_it_is_and_whose() -> None:
    assert all(one.name.startswith("marquee_") and len(one.what) > 10 for one in ALL)
