import numpy as np
import pytest

from recsys.recall.adamw import Parameter


def test_the_first_step_is_as_long_as_the_rate_whatever_the_gradient() -> None:
    parameter = Parameter.starting_at(np.array([1.0, 1.0]), decay=0.0)
    parameter.gradient[:] = [4.0, -0.01]
    parameter.step(1, rate=0.1)
    assert parameter.values.tolist() == pytest.approx([0.9, 1.1])


def test_a_step_forgets_the_gradient_and_remembers_its_mean_and_square() -> None:
    parameter = Parameter.starting_at(np.zeros(1), decay=0.0)
    parameter.gradient[:] = 2.0
    parameter.step(1, rate=0.1)
    assert parameter.gradient.tolist() == [0.0]
    assert parameter.means.tolist() == pytest.approx([0.2])
    assert parameter.squares.tolist() == pytest.approx([0.004], rel=1e-4)


def test_decay_shrinks_what_has_no_gradient() -> None:
    parameter = Parameter.starting_at(np.array([[2.0], [-4.0]]), decay=0.5)
    parameter.step(1, rate=0.1)
    assert parameter.values.tolist() == [pytest.approx([1.9]), pytest.approx([-3.8])]


def test_many_steps_find_the_lowest_place_of_a_bowl() -> None:
    parameter = Parameter.starting_at(np.zeros(2), decay=0.0)
    for number in range(1, 2_001):
        parameter.gradient[:] = parameter.values - np.array([3.0, -1.0], dtype=np.float32)
        parameter.step(number, rate=0.02)
    assert parameter.values.tolist() == pytest.approx([3.0, -1.0], abs=1e-3)
