import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.batching import MicroBatcher, OverloadedError, Patience
from deployments.drain import DrainRate
from deployments.settings import BatchSettings
from recsys.core.errors import UnavailableError


class Doubler:
    """Doubles numbers in batches that wait until they are let go."""

    def __init__(self, *, held: bool) -> None:
        self.batches: list[list[int]] = []
        self.go = asyncio.Event()
        if not held:
            self.go.set()

    async def __call__(self, asked: Sequence[int]) -> list[int]:
        self.batches.append(list(asked))
        await self.go.wait()
        return [2 * number for number in asked]


async def turns(n: int = 5) -> None:
    for _ in range(n):
        await asyncio.sleep(0)


def test_an_idle_batcher_sends_at_once() -> None:
    async def run() -> None:
        doubler = Doubler(held=False)
        batcher = MicroBatcher(doubler, BatchSettings())
        assert await batcher.ask(21) == 42
        assert doubler.batches == [[21]]

    asyncio.run(run())


def test_requests_gather_while_as_many_batches_as_allowed_are_under_way() -> None:
    async def run() -> None:
        doubler = Doubler(held=True)
        batcher = MicroBatcher(doubler, BatchSettings(max_in_flight=2, max_size=3, company=1))
        asks = []
        for number in range(6):
            asks.append(asyncio.create_task(batcher.ask(number)))
            await turns()
        assert doubler.batches == [[0], [1]]
        doubler.go.set()
        assert await asyncio.gather(*asks) == [0, 2, 4, 6, 8, 10]
        assert doubler.batches == [[0], [1], [2, 3, 4], [5]]

    asyncio.run(run())


def test_requests_of_one_turn_of_the_loop_travel_together() -> None:
    async def run() -> None:
        doubler = Doubler(held=False)
        batcher = MicroBatcher(doubler, BatchSettings())
        await asyncio.gather(*(batcher.ask(number) for number in range(5)))
        assert doubler.batches == [[0, 1, 2, 3, 4]]

    asyncio.run(run())


def test_a_lone_request_does_not_linger_but_one_with_others_under_way_does() -> None:
    async def run() -> None:
        doubler = Doubler(held=True)
        batcher = MicroBatcher(doubler, BatchSettings(max_in_flight=9, linger_s=0.05))
        asks = [asyncio.create_task(batcher.ask(0))]
        await turns()
        assert doubler.batches == [[0]]
        for number in (1, 2):
            asks.append(asyncio.create_task(batcher.ask(number)))
            await turns()
        assert doubler.batches == [[0]]
        await asyncio.sleep(0.1)
        assert doubler.batches == [[0], [1, 2]]
        doubler.go.set()
        await asyncio.gather(*asks)

    asyncio.run(run())


def test_company_sends_a_batch_beside_another_before_the_wait_is_over() -> None:
    async def run() -> None:
        doubler = Doubler(held=True)
        settings = BatchSettings(max_in_flight=9, company=3, linger_s=60.0)
        batcher = MicroBatcher(doubler, settings)
        asks = []
        for number in range(6):
            asks.append(asyncio.create_task(batcher.ask(number)))
            await turns()
        assert doubler.batches == [[0], [1, 2, 3]]
        doubler.go.set()
        assert await asyncio.gather(*asks) == [0, 2, 4, 6, 8, 10]
        assert doubler.batches == [[0], [1, 2, 3], [4, 5]]  # nothing else is under way by then

    asyncio.run(run())


def test_who_is_left_behind_by_a_batch_that_ends_waits_no_longer_than_others() -> None:
    async def run() -> None:
        ends = [asyncio.Event() for _ in range(4)]
        sent: list[list[int]] = []

        async def one_by_one(asked: Sequence[int]) -> list[int]:
            sent.append(list(asked))
            await ends[len(sent) - 1].wait()
            return list(asked)

        batcher = MicroBatcher(one_by_one, BatchSettings(max_in_flight=2, company=2, linger_s=0.05))
        asks = []
        for number in range(4):  # the last one waits for one of the two batches before it
            asks.append(asyncio.create_task(batcher.ask(number)))
            await turns()
        assert sent == [[0], [1, 2]]
        ends[0].set()
        await turns()
        assert sent == [[0], [1, 2]]
        await asyncio.sleep(0.1)
        assert sent == [[0], [1, 2], [3]]
        for end in ends:
            end.set()
        assert await asyncio.gather(*asks) == [0, 1, 2, 3]

    asyncio.run(run())


def test_what_a_batch_raises_reaches_everyone_in_it_and_nobody_else() -> None:
    async def picky(asked: Sequence[int]) -> list[int]:
        if 13 in asked:
            raise UnavailableError("batch", "unlucky")
        return list(asked)

    async def run() -> None:
        batcher = MicroBatcher(picky, BatchSettings(max_size=2))
        found = await asyncio.gather(*(batcher.ask(n) for n in (12, 13, 14)), return_exceptions=True)
        assert [type(each) for each in found] == [UnavailableError, UnavailableError, int]

    asyncio.run(run())


def test_who_gave_up_waiting_is_not_asked_for() -> None:
    async def run() -> None:
        doubler = Doubler(held=True)
        batcher = MicroBatcher(doubler, BatchSettings(max_in_flight=1))
        first, gone, last = (asyncio.create_task(batcher.ask(number)) for number in (1, 2, 3))
        await turns()
        late = [asyncio.create_task(batcher.ask(number)) for number in (4, 5)]
        await turns()
        late[0].cancel()
        await turns()
        doubler.go.set()
        await asyncio.gather(first, gone, last, late[1])
        assert doubler.batches == [[1, 2, 3], [5]]
        with pytest.raises(asyncio.CancelledError):
            await late[0]

    asyncio.run(run())


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.lists(st.integers(), max_size=8), max_size=8),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_everyone_gets_the_answer_to_their_own_question(
    waves: list[list[int]], max_size: int, max_in_flight: int
) -> None:
    async def run() -> None:
        doubler = Doubler(held=False)
        batcher = MicroBatcher(doubler, BatchSettings(max_size=max_size, max_in_flight=max_in_flight))
        asks = []
        for wave in waves:
            asks += [(number, asyncio.create_task(batcher.ask(number))) for number in wave]
            await asyncio.sleep(0)
        for number, ask in asks:
            assert await ask == 2 * number
        assert all(1 <= len(batch) <= max_size for batch in doubler.batches)

    asyncio.run(run())


def test_only_so_many_may_wait() -> None:
    async def run() -> None:
        doubler = Doubler(held=True)
        settings = BatchSettings(max_in_flight=1, max_size=1)
        batcher = MicroBatcher(doubler, settings, patience=Patience(max_waiting=2))
        asks = []
        for number in range(3):
            asks.append(asyncio.create_task(batcher.ask(number)))
            await turns()
        with pytest.raises(OverloadedError, match="full"):
            await batcher.ask(3)
        asks[1].cancel()  # a client that hangs up
        await turns()
        doubler.go.set()
        assert [await asks[0], await asks[2]] == [0, 4]
        assert doubler.batches == [[0], [2]]

    asyncio.run(run())


def test_nothing_is_done_for_who_has_waited_too_long_while_others_need_the_place() -> None:
    async def run() -> None:
        now_s = 0.0
        doubler = Doubler(held=True)
        settings = BatchSettings(max_in_flight=1, max_size=2)
        patience = Patience(max_wait_s=0.5, clock=lambda: now_s)
        batcher = MicroBatcher(doubler, settings, patience=patience)
        first = asyncio.create_task(batcher.ask(0))
        await turns()
        late = [asyncio.create_task(batcher.ask(number)) for number in (1, 2, 3)]
        await turns()
        now_s = 0.4
        in_time = asyncio.create_task(batcher.ask(4))
        long_on_its_way = asyncio.create_task(batcher.ask(5, since_s=-0.1))
        await turns()
        now_s = 0.6
        doubler.go.set()
        assert (await first, await late[2], await in_time) == (0, 6, 8)
        for ask in (*late[:2], long_on_its_way):
            with pytest.raises(OverloadedError, match="late"):
                await ask
        assert doubler.batches == [[0], [3, 4]]  # 3 is late, too, but there is a place for it

    asyncio.run(run())


def test_the_speed_is_learned_from_batches_that_others_wait_behind() -> None:
    async def run() -> None:
        now_s = 0.0

        async def slowly(asked: Sequence[int]) -> list[int]:
            nonlocal now_s
            await asyncio.sleep(0)
            now_s += 0.1
            return list(asked)

        patience = Patience(clock=lambda: now_s)
        drain = DrainRate(patience.clock)
        settings = BatchSettings(max_in_flight=1, max_size=4)
        batcher = MicroBatcher(slowly, settings, patience=patience, drain=drain)
        await batcher.ask(0)
        assert drain.per_s == 0.0
        await asyncio.gather(*(batcher.ask(number) for number in range(12)))
        assert drain.per_s == pytest.approx(40.0)

    asyncio.run(run())


def test_who_waits_for_company_teaches_no_speed() -> None:
    async def run() -> None:
        now_s = 0.0

        async def slowly(asked: Sequence[int]) -> list[int]:
            nonlocal now_s
            await turns()
            now_s += 0.1
            return list(asked)

        drain = DrainRate(lambda: now_s)
        settings = BatchSettings(max_in_flight=2, company=3)
        batcher = MicroBatcher(slowly, settings, patience=Patience(clock=lambda: now_s), drain=drain)
        asks = []
        for number in range(20):
            asks.append(asyncio.create_task(batcher.ask(number)))
            await turns(3)
        await asyncio.gather(*asks)
        assert drain.per_s == 0.0

    asyncio.run(run())


@pytest.mark.parametrize(("per_s", "size"), [(0, 64), (600, 50), (100, 8), (1, 8), (10_000, 64)])
def test_a_batch_is_no_larger_than_what_is_answered_within_its_time(per_s: int, size: int) -> None:
    async def run() -> None:
        doubler = Doubler(held=False)
        now_s = 0.0
        drain = DrainRate(lambda: now_s)
        drain.answered(1, waiting=1)
        now_s = 1.0
        drain.answered(per_s, waiting=1)
        batcher = MicroBatcher(doubler, BatchSettings(max_s=0.25, max_in_flight=3), drain=drain)
        await asyncio.gather(*(batcher.ask(number) for number in range(100)))
        assert len(doubler.batches[0]) == size

    asyncio.run(run())
