import asyncio
import sys
import time
from collections.abc import Callable

import pytest

from loadtest.engine.timer import KernelTimer, LoopTimer, Timer, open_timer

MAKERS: dict[str, Callable[[Callable[[], None]], Timer]] = {
    "loop": lambda callback: LoopTimer(time.monotonic, callback),
    "best": lambda callback: open_timer(time.monotonic, callback),
}
if sys.platform == "linux":
    MAKERS["kernel"] = KernelTimer


@pytest.mark.parametrize("name", sorted(MAKERS))
class TestEveryTimer:
    def test_rings_once_and_never_early(self, name: str) -> None:
        rung: list[float] = []

        async def run() -> float:
            timer = MAKERS[name](lambda: rung.append(time.monotonic()))
            at_s = time.monotonic() + 0.02
            timer.wake_at(at_s)
            await asyncio.sleep(0.1)
            timer.close()
            return at_s

        at_s = asyncio.run(run())
        assert len(rung) == 1
        assert rung[0] >= at_s - 1e-3

    def test_rings_soon_when_the_moment_has_passed(self, name: str) -> None:
        async def run() -> None:
            rung = asyncio.Event()
            timer = MAKERS[name](rung.set)
            timer.wake_at(time.monotonic() - 5)
            await asyncio.wait_for(rung.wait(), 10)
            timer.close()

        asyncio.run(run())

    def test_rings_no_more_once_closed(self, name: str) -> None:
        rung: list[int] = []

        async def run() -> None:
            timer = MAKERS[name](lambda: rung.append(1))
            timer.wake_at(time.monotonic() + 0.02)
            timer.close()
            await asyncio.sleep(0.06)

        asyncio.run(run())
        assert rung == []
