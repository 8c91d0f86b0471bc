"""A lane by wire: what travels is what the stages take and give."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from deployments.lane import Holding
from deployments.wire.stage import Stage
from deployments.wire.stages import WiredStages
from recsys.core.clock import monotonic_clock
from recsys.core.errors import UnavailableError
from recsys.features.users import UserBatch
from recsys.recall.candidates import Candidates

USERS = UserBatch(
    history_rows=np.full((2, 100), -1, dtype=np.int32),
    history_times_s=np.zeros((2, 100)),
    n_positive=np.zeros(2, dtype=np.int64),
    now_s=np.array([1.0, 2.0]),
    context_rows=np.zeros(2, dtype=np.int16),
    excluded_offsets=np.zeros(3, dtype=np.int64),
    excluded_rows=np.zeros(0, dtype=np.int32),
)
NAMED = Candidates(np.array([[3, 1], [2, 0]], dtype=np.int32), np.zeros((2, 2, 5), dtype=np.int16))


class Handle:
    """Recall names :data:`NAMED`, ranking prefers low rows; either may be down."""

    def __init__(self, *, down: bool = False) -> None:
        self.asked: list[tuple[str, tuple[object, ...]]] = []
        self._down = down

    async def call(self, method: str, arguments: Sequence[object]) -> object:
        self.asked.append((method, tuple(arguments)))
        if self._down:
            raise UnavailableError("recall" if method == "recall" else "ranking", "ActorDiedError")
        if method == "recall":
            return NAMED
        candidates = arguments[-1]
        assert isinstance(candidates, Candidates)
        return -candidates.item_rows.astype(np.float32)

    async def holdings(self) -> list[Holding]:
        return [Holding("blue", "1f", ("1f",), {}, 1)]


def lane(recall: Handle, ranking: Handle) -> WiredStages:
    return WiredStages(Stage("recall", recall, monotonic_clock), Stage("ranking", ranking, monotonic_clock))


def test_what_recall_names_goes_on_to_ranking_and_both_come_back() -> None:
    async def test() -> None:
        recall, ranking = Handle(), Handle()
        started = lane(recall, ranking).start("1f", USERS, 2, None)
        candidates = await started.candidates
        assert np.array_equal(candidates.item_rows, NAMED.item_rows)
        assert started.scores is not None
        assert (await started.scores).tolist() == [[-3.0, -1.0], [-2.0, 0.0]]
        [(method, (bundle, users, n, filters))] = recall.asked
        assert (method, bundle, n, filters) == ("recall", "1f", 2, None)
        assert isinstance(users, UserBatch)
        assert users.now_s.tolist() == [1.0, 2.0]
        assert ranking.asked[0][0] == "rank"

    asyncio.run(test())


def test_ranking_is_not_asked_when_it_is_left_out() -> None:
    async def test() -> None:
        recall, ranking = Handle(), Handle()
        started = lane(recall, ranking).start("1f", USERS, 2, None, rank=False)
        await started.candidates
        assert started.scores is None
        assert ranking.asked == []

    asyncio.run(test())


def test_without_recall_nothing_is_ranked_and_nobody_waits_for_it() -> None:
    async def test() -> None:
        recall, ranking = Handle(down=True), Handle()
        started = lane(recall, ranking).start("1f", USERS, 2, None)
        with pytest.raises(UnavailableError, match="recall is unavailable: ActorDiedError"):
            await started.candidates
        started.drop_scores()
        await asyncio.sleep(0)
        assert ranking.asked == []

    asyncio.run(test())


def test_without_ranking_there_are_candidates() -> None:
    async def test() -> None:
        started = lane(Handle(), Handle(down=True)).start("1f", USERS, 2, None)
        assert len(await started.candidates) == 2
        assert started.scores is not None
        with pytest.raises(UnavailableError, match="ranking is unavailable"):
            await started.scores

    asyncio.run(test())


def test_a_lane_holds_what_both_stages_hold() -> None:
    held = asyncio.run(lane(Handle(), Handle()).holdings())
    assert [holding.loaded for holding in held] == [("1f",), ("1f",)]
