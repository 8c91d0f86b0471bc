"""So many requests under way, each connection asks again as soon as it is answered.

Such a loop slows down with the server and so hides its stalls (coordinated omission): it tells what a server
can do at most, not what users wait for. The report names the mode.
"""

import asyncio

from loadtest.engine.driver import Driver
from loadtest.transports.exchange import Exchange

_PAUSE_S = 0.01  # before the next request, after one that found no connection or lost it


async def closed_loop(driver: Driver, *, connections: int, duration_s: float) -> None:
    """Keep ``connections`` requests under way for ``duration_s``, or until the driver is stopped.

    Returns as soon as no new request begins; those under way are for :meth:`Driver.drain`.
    """
    loop = asyncio.get_running_loop()
    clock = driver.clock
    ends_s = driver.started_s + duration_s

    def ask() -> None:
        now_s = clock()
        if now_s < ends_s and not driver.stopped.is_set():
            driver.dispatch(now_s)

    def after(exchange: Exchange) -> None:
        if exchange.failure is None:
            ask()
        else:
            loop.call_later(_PAUSE_S, ask)

    driver.after = after
    for _ in range(connections):
        ask()
    try:
        async with asyncio.timeout(max(0.0, ends_s - clock())):
            await driver.stopped.wait()
    except TimeoutError:
        pass
