"""Twins of a small bundle."""

from pathlib import Path

import numpy as np

from loadtest.swap.twins import twin_registry
from recsys.registry.bundle import BundleWriter
from recsys.registry.local import LocalRegistry
from recsys.registry.reader import open_bundle


def test_twins_differ_in_name_alone(tmp_path: Path) -> None:
    def fill(writer: BundleWriter) -> None:
        writer.array("deep/numbers", np.arange(5))

    source = LocalRegistry(tmp_path / "a").publish(fill, feature_schema="0" * 16, created_s=0.0, meta={})
    names = twin_registry(source.path, tmp_path / "b", 3, now_s=1.0)
    registry = LocalRegistry(tmp_path / "b")
    assert len(set(names)) == 3
    assert registry.resolve("stable") == names[0]
    for name in names:
        opened = open_bundle(registry.get(name), feature_schema="0" * 16)
        assert opened.array("deep/numbers").tolist() == [0, 1, 2, 3, 4]
