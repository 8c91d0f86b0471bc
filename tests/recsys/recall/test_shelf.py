from collections.abc import Callable

import numpy as np
import pytest

from recsys.data.log import InteractionLog
from recsys.recall.shelf import Shelf
from tests.small import BILINEAR


@pytest.fixture
def log(log_of: Callable[..., InteractionLog]) -> InteractionLog:
    return log_of([[user % 7, (user + 1) % 7, (user * 3) % 7] for user in range(20)], 7)


def test_what_was_learned_is_given_again(log: InteractionLog) -> None:
    shelf = Shelf()
    first = shelf.bilinear(log, BILINEAR, 1)
    assert shelf.bilinear(log, BILINEAR, 1) is first
    assert len(shelf) == 1


def test_another_log_seed_or_setting_is_learned_anew(
    log: InteractionLog, log_of: Callable[..., InteractionLog]
) -> None:
    shelf = Shelf()
    first = shelf.bilinear(log, BILINEAR, 1)
    fewer = log.of_users(np.arange(log.n_users) > 0)
    larger = log_of([[0, 1], [1, 2]], 8)
    others = [
        shelf.bilinear(fewer, BILINEAR, 1),
        shelf.bilinear(larger, BILINEAR, 1),
        shelf.bilinear(log, BILINEAR, 2),
        shelf.bilinear(log, BILINEAR.model_copy(update={"min_events": 1}), 1),
    ]
    assert all(one is not first for one in others)
    assert len(shelf) == 5


def test_users_divided_otherwise_are_another_log(log_of: Callable[..., InteractionLog]) -> None:
    shelf = Shelf()
    shelf.bilinear(log_of([[0, 1, 2], [3]], 4), BILINEAR, 0)
    shelf.bilinear(log_of([[0, 1], [2, 3]], 4), BILINEAR, 0)
    assert len(shelf) == 2
