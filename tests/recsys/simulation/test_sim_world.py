import numpy as np
import pytest

from recsys.simulation.scenario import SCENARIOS
from recsys.simulation.world import World, make_world

TINY = SCENARIOS["tiny"]
USERS = np.arange(TINY.n_users)


def world_with_drift(drift: float) -> World:
    return make_world(TINY.model_copy(update={"drift": drift}), seed=1)


def test_the_same_seed_gives_the_same_world_and_another_seed_another() -> None:
    one, same, other = make_world(TINY, 1), make_world(TINY, 1), make_world(TINY, 2)
    assert one.catalogue.titles == same.catalogue.titles != other.catalogue.titles
    assert (one.tastes.first == same.tastes.first).all()
    assert not (one.tastes.first == other.tastes.first).any()


def test_affinity_is_the_cosine_of_taste_and_video() -> None:
    world = world_with_drift(0.0)
    taste, video = world.tastes.first[4], world.catalogue.vectors[9]
    got = world.affinity(np.array([4]), np.array([9]), TINY.starts_s)
    assert got.tolist() == pytest.approx([float(taste @ video)], abs=1e-6)
    assert np.linalg.norm(taste) == pytest.approx(1.0, abs=1e-6)


def test_affinity_of_many_videos_per_user_has_a_row_per_user() -> None:
    world = world_with_drift(0.2)
    items = np.array([[5, 6, 7], [7, 5, 6]])
    got = world.affinity(np.array([2, 3]), items, np.array([TINY.starts_s, TINY.ends_s]))
    alone = world.affinity(np.array([3]), np.array([6]), TINY.ends_s)
    assert got.shape == (2, 3)
    assert got[1, 2] == pytest.approx(float(alone[0]), abs=1e-6)


def test_tastes_without_drift_never_move() -> None:
    world = world_with_drift(0.0)
    assert (world.tastes_at(USERS, TINY.ends_s) == world.tastes_at(USERS, TINY.starts_s)).all()


def test_tastes_with_full_drift_go_from_the_first_to_the_last_state() -> None:
    world = world_with_drift(1.0)
    np.testing.assert_allclose(world.tastes_at(USERS, TINY.starts_s), world.tastes.first, atol=1e-6)
    np.testing.assert_allclose(world.tastes_at(USERS, TINY.ends_s), world.tastes.last, atol=1e-6)


def test_half_the_drift_is_over_half_way_and_none_goes_on_after_the_end() -> None:
    world = world_with_drift(0.4)
    middle_s = (TINY.starts_s + TINY.ends_s) / 2
    assert float(world.drifted(middle_s)) == pytest.approx(0.2)
    assert float(world.drifted(TINY.ends_s + 1e9)) == pytest.approx(0.4)


def test_watching_is_likelier_with_affinity_and_falls_with_position_as_looking_does() -> None:
    world = world_with_drift(0.0)
    items = np.broadcast_to(np.arange(TINY.n_items), (1, TINY.n_items))
    top = world.watch_probability(np.array([0]), items, TINY.starts_s)
    fourth = world.watch_probability(np.array([0]), items, TINY.starts_s, position=4)
    affinity = world.affinity(np.array([0]), items, TINY.starts_s)
    np.testing.assert_allclose(fourth, top / 2, rtol=1e-6)  # 4 ** -0.5
    assert np.corrcoef(affinity[0], top[0])[0, 1] > 0.9
    assert (top > 0).all()
    assert (top < 1).all()


def test_tastes_can_jump_at_a_set_hour_to_a_few_topics() -> None:
    scenario = TINY.model_copy(update={"drift": 1.0, "shift_at_hour": 36.0, "last_n_topics": 2})
    world = make_world(scenario, 7)
    shifts_s = scenario.starts_s + 36 * 3_600.0
    assert (float(world.drifted(shifts_s - 1.0)), float(world.drifted(shifts_s))) == (0.0, 1.0)
    assert set(world.tastes.last_topics.ravel().tolist()) == {0, 1}
    before = make_world(TINY, 7).tastes  # what comes first is as it would have been
    assert (world.tastes.first == before.first).all()


def test_new_fashions_are_of_topics_that_nobody_cared_for_before() -> None:
    changes = {"drift": 1.0, "shift_at_hour": 36.0, "last_n_topics": 2, "new_fashions": True}
    world = make_world(TINY.model_copy(update=changes), 7)
    assert world.tastes.first_topics.min() == 2
    assert set(np.unique(world.tastes.last_topics)) == {0, 1}
