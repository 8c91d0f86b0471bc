from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from recsys.registry.bundle import BundleWriter
from recsys.registry.local import LocalRegistry
from recsys.registry.manifest import Manifest
from recsys.tracking.bundles import tell_of_bundle, tell_of_channels
from recsys.tracking.open import open_tracking
from recsys.tracking.run import Tracking

Mlflow = Any
META: dict[str, JsonValue] = {
    "data": "tiny",
    "fit_s": 1.5,
    "gate": {"two-stage": 0.25},
    "settings": {"boosting": {"n_trees": 8}, "time_constants_items": [3, 30]},
}


@pytest.fixture
def tracking(mlflow_address: str, tmp_path: Path) -> Tracking:
    return open_tracking(mlflow_address, tmp_path)


@pytest.fixture
def registry(tmp_path: Path) -> LocalRegistry:
    return LocalRegistry(tmp_path / "registry")


def published(registry: LocalRegistry, title: str) -> str:
    def fill(writer: BundleWriter) -> None:
        writer.json("titles", [title])

    return registry.publish(fill, feature_schema="f1", created_s=0.0, meta=META).name


def test_a_bundle_is_a_run_with_its_settings_figures_and_manifest(
    tracking: Tracking,
    registry: LocalRegistry,
    mlflow_client: Mlflow,
    run_of: Callable[[str], Mlflow],
    tmp_path: Path,
) -> None:
    bundle = published(registry, "Heat")
    for _ in range(2):
        tell_of_bundle(tracking, registry, bundle, address="/here")
    run = run_of(f"bundle {bundle}")
    assert run.data.params == {
        "boosting.n_trees": "8",
        "time_constants_items.0": "3",
        "time_constants_items.1": "30",
    }
    assert run.data.metrics == {"fit_s": 1.5, "gate.two-stage": 0.25}
    (version,) = mlflow_client.search_model_versions("name = 'marquee'")
    assert version.run_id == run.info.run_id
    assert version.tags["marquee.registry"] == "/here"
    kept = mlflow_client.download_artifacts(run.info.run_id, "bundle/manifest.json", str(tmp_path))
    assert Path(kept).read_bytes() == Manifest.read(registry.get(bundle)).to_bytes()


def test_aliases_follow_the_channels_of_the_registry(
    tracking: Tracking, registry: LocalRegistry, mlflow_client: Mlflow
) -> None:
    heat, alien = published(registry, "Heat"), published(registry, "Alien")

    def aliases() -> dict[str, str]:
        tell_of_channels(tracking, registry, address="/here")
        named = mlflow_client.get_registered_model("marquee").aliases
        versions = {alias: mlflow_client.get_model_version("marquee", named[alias]) for alias in named}
        return {alias: version.tags["marquee.bundle"] for alias, version in versions.items()}

    registry.promote(heat, "stable", expected=None, by="ada", now_s=0.0)
    assert aliases() == {"stable": heat}
    registry.promote(alien, "candidate", expected=None, by="ada", now_s=1.0)
    assert aliases() == {"stable": heat, "candidate": alien}
    registry.promote(alien, "stable", expected=heat, by="ada", now_s=2.0)
    assert aliases() == {"stable": alien, "candidate": alien, "previous": heat}
    registry.rollback(expected=alien, by="ada", now_s=3.0)
    assert aliases() == {"stable": heat, "candidate": alien, "previous": alien}
    assert len(mlflow_client.search_model_versions("name = 'marquee'")) == 2


def test_of_a_bundle_that_cannot_be_read_nothing_is_told(
    tracking: Tracking, registry: LocalRegistry, mlflow_client: Mlflow
) -> None:
    bundle = published(registry, "Heat")
    (registry.get(bundle) / "manifest.json").write_text("{}")
    tell_of_bundle(tracking, registry, bundle, address="/here")
    assert mlflow_client.search_registered_models() == []
