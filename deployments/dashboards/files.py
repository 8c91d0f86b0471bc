"""The dashboards as files: the chart puts them into ConfigMaps, compose hands them to Grafana."""

from pathlib import Path

from deployments.dashboards.capacity import capacity
from deployments.dashboards.live import live
from deployments.dashboards.rollout import rollouts
from deployments.dashboards.serving import serving


def dashboard_files() -> dict[str, str]:
    """Return the content of every dashboard by the name of its file."""
    return {
        "capacity.json": capacity(),
        "live.json": live(),
        "rollouts.json": rollouts(),
        "serving.json": serving(),
    }


def write(folder: Path) -> None:
    """Write them into a folder, which is made when it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in dashboard_files().items():
        (folder / name).write_text(content)
