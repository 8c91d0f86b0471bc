"""The drills: every scene on the real service, under the users of a known world."""

from collections.abc import Iterator

import pytest

from loadtest.drill.bundles import Prepared, prepare
from loadtest.drill.run import Drill, drilling
from loadtest.drill.scenes import SCENES, Scene
from recsys.core.clock import unix_clock

pytestmark = [pytest.mark.serve, pytest.mark.slow]

_RATE_PER_S = 90.0  # more than the drill's own: a step has its exposures sooner


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(tmp_path_factory.mktemp("drill"), clock=unix_clock, on_step=lambda _: None)


@pytest.fixture(scope="module")
def drill(
    request: pytest.FixtureRequest, prepared: Prepared, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Drill]:
    """A service for scenes with a better candidate, or for those with a twin."""
    home = tmp_path_factory.mktemp("home") / "home"
    with drilling(prepared, home, better=request.param, rate_per_s=_RATE_PER_S) as drill:
        yield drill


@pytest.mark.parametrize(
    ("drill", "scene"),
    [pytest.param(scene.better, scene, id=scene.name) for scene in SCENES],
    indirect=["drill"],
    scope="module",
)
def test_a_canary_ends_as_it_should_and_nobody_notices(drill: Drill, scene: Scene) -> None:
    ended = drill.play(scene)
    assert ended.faults() == [], [decision.why for decision in ended.rollout.decisions]
