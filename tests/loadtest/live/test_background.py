import asyncio

import pytest

from loadtest.live.background import playing
from loadtest.live.ledger import Ledger
from loadtest.live.result import LiveResult
from recsys.core.errors import FieldError


def result_of(run_id: str) -> LiveResult:
    ledger = Ledger()
    return LiveResult(
        url="", run_id=run_id, started_unix_s=0.0, elapsed_s=0.0, n_asked=0, n_unfinished=0, visitors={},
        arms=ledger.arms(), events=ledger.events(), seconds=ledger.seconds(), paths=ledger.paths(),
    )  # fmt: skip


def test_a_run_goes_on_until_it_is_finished_and_gives_its_result_again() -> None:
    async def until_stopped(stop: asyncio.Event) -> LiveResult:
        await stop.wait()
        return result_of("whole")

    with playing(until_stopped) as background:
        first = background.finish()
        assert first.run_id == "whole"
        assert background.finish() is first


def test_a_run_that_ends_by_itself_needs_nobody() -> None:
    async def at_once(stop: asyncio.Event) -> LiveResult:
        del stop
        return result_of("short")

    with playing(at_once) as background:
        assert background.finish().run_id == "short"


def test_what_a_run_raises_comes_out_where_it_is_finished() -> None:
    async def broken(stop: asyncio.Event) -> LiveResult:
        raise FieldError("URL", repr(stop.is_set()), "another")

    with pytest.raises(FieldError), playing(broken):
        pass
