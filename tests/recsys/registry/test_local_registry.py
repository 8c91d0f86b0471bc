"""What only the registry in a folder does; all registries: tests/conformance/test_registries.py."""

from collections.abc import Callable
from pathlib import Path

import pytest

from recsys.core.errors import NotFoundError
from recsys.registry.bundle import BundleWriter
from recsys.registry.local import LocalRegistry


def titled(title: str) -> Callable[[BundleWriter], None]:
    return lambda writer: writer.json("titles", [title])


def publish(registry: LocalRegistry, title: str) -> str:
    return registry.publish(titled(title), feature_schema="f1", created_s=0.0, meta={}).name


@pytest.fixture
def registry(tmp_path: Path) -> LocalRegistry:
    return LocalRegistry(tmp_path / "registry")


def test_a_registry_that_does_not_exist_is_empty_and_stays_away(registry: LocalRegistry) -> None:
    assert registry.list() == []
    assert registry.channels().version == 0
    with pytest.raises(NotFoundError):
        registry.resolve("stable")
    assert not registry.root.exists()


def test_no_rollback_to_a_bundle_that_is_gone(registry: LocalRegistry) -> None:
    heat, alien = publish(registry, "Heat"), publish(registry, "Alien")
    registry.promote(heat, "stable", expected=None, by="ada", now_s=0.0)
    before = registry.promote(alien, "stable", expected=heat, by="ada", now_s=0.0)
    registry.get(heat).rename(registry.root / "elsewhere")
    with pytest.raises(NotFoundError, match=heat):
        registry.rollback(expected=alien, by="ada", now_s=0.0)
    assert registry.channels() == before
