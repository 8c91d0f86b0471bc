"""The drills: every scene on the real service, under the users of a known world."""

from pathlib import Path

import pytest

from loadtest.drill.bundles import Prepared, prepare
from loadtest.drill.run import run_scene
from loadtest.drill.scenes import SCENES, Scene
from recsys.core.clock import unix_clock

pytestmark = [pytest.mark.serve, pytest.mark.slow]

_RATE_PER_S = 90.0  # more than the drill's own: a step has its exposures sooner


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(tmp_path_factory.mktemp("drill"), clock=unix_clock, on_step=lambda _: None)


@pytest.mark.parametrize("scene", SCENES, ids=[scene.name for scene in SCENES])
def test_a_canary_ends_as_it_should_and_nobody_notices(
    prepared: Prepared, scene: Scene, tmp_path: Path
) -> None:
    ended = run_scene(scene, prepared, tmp_path / "home", rate_per_s=_RATE_PER_S)
    assert ended.faults() == [], [decision.why for decision in ended.rollout.decisions]
