"""A stage over replicas that come, go, refuse and die; Ray Serve's part is played by the handle."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

import pytest

from deployments.lane import Holding
from deployments.wire.address import Address
from deployments.wire.frames import packed, unpacked
from deployments.wire.listener import Listener
from deployments.wire.stage import LOST, Stage
from recsys.core.errors import UnavailableError

Run = Callable[[Coroutine[object, object, None]], None]
Listening = Callable[..., AbstractAsyncContextManager[Listener]]


def holding(address: Address | None) -> Holding:
    return Holding("blue", "1f", ("1f",), {}, os.getpid(), address)


@dataclass
class Handle:
    """Knows the replicas that it is told of; calls by it are answered with ``by serve``."""

    addresses: list[Address] = field(default_factory=list)
    looks: int = 0
    calls: list[str] = field(default_factory=list)

    async def call(self, method: str, arguments: Sequence[object]) -> object:
        self.calls.append(f"{method}{tuple(arguments)}")
        return "by serve"

    async def holdings(self) -> list[Holding]:
        self.looks += 1
        if not self.addresses:
            raise UnavailableError("recall", "no replica")
        return [holding(address) for address in self.addresses]


@dataclass
class Clock:
    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Replica:
    """What a replica answers, and how often it was asked."""

    name: str
    asked: int = 0
    began: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def who(self) -> str:
        self.asked += 1
        return self.name

    async def slow(self) -> str:
        self.asked += 1
        self.began.set()
        await self.go.wait()
        return self.name

    async def holding(self) -> Holding:
        return holding(None)

    @property
    def methods(self) -> dict[str, object]:
        return {"who": self.who, "slow": self.slow, "holding": self.holding}


def test_calls_go_through_serve_until_a_replica_is_known_and_by_wire_from_then_on(
    run: Run, listening: Listening
) -> None:
    async def test() -> None:
        replica, handle = Replica("one"), Handle()
        stage = Stage("recall", handle, Clock())
        assert unpacked(await stage.call("who", [packed(1)])) == "by serve"
        assert handle.calls == ["who(1,)"]
        async with listening(**replica.methods) as listener:
            handle.addresses = [listener.address]
            [held] = await stage.holdings()
            assert held.loaded == ("1f",)
            assert unpacked(await stage.call("who", ())) == "one"
        assert len(handle.calls) == 1

    run(test())


def test_replicas_are_looked_for_every_two_seconds_and_asked_by_wire_in_between(
    run: Run, listening: Listening
) -> None:
    async def test() -> None:
        clock, handle = Clock(), Handle()
        stage = Stage("recall", handle, clock)
        async with listening(**Replica("one").methods) as one, listening(**Replica("two").methods) as two:
            handle.addresses = [one.address]
            await stage.holdings()
            handle.addresses.append(two.address)
            clock.now_s = 1.9
            assert len(await stage.holdings()) == 1
            clock.now_s = 2.1
            assert len(await stage.holdings()) == 2
            assert handle.looks == 2
            assert len(await stage.holdings()) == 2
            assert handle.looks == 2

    run(test())


def test_a_call_goes_to_the_replica_with_the_least_under_way(run: Run, listening: Listening) -> None:
    async def test() -> None:
        one, two, handle = Replica("one"), Replica("two"), Handle()
        stage = Stage("recall", handle, Clock())
        async with listening(**one.methods) as first, listening(**two.methods) as second:
            handle.addresses = [first.address, second.address]
            await stage.holdings()
            calls = [asyncio.ensure_future(stage.call("slow", ())) for _ in range(4)]
            await asyncio.gather(one.began.wait(), two.began.wait())
            assert (one.asked, two.asked) == (1, 1)  # each works on one, and one waits at each
            one.go.set()
            two.go.set()
            answers = [unpacked(await call) for call in calls]
            assert sorted(map(str, answers)) == ["one", "one", "two", "two"]

    run(test())


def test_what_a_replica_had_when_it_died_is_asked_of_another(run: Run, listening: Listening) -> None:
    async def test() -> None:
        dies, lives, handle = Replica("dies"), Replica("lives"), Handle()
        lives.go.set()
        stage = Stage("recall", handle, Clock())
        async with listening(**dies.methods) as first, listening(**lives.methods) as second:
            handle.addresses = [first.address]
            await stage.holdings()
            call = asyncio.ensure_future(stage.call("slow", ()))
            await dies.began.wait()
            handle.addresses = [second.address]
            first.close()
            assert unpacked(await call) == "by serve"  # nobody else was known at that moment
            await stage.holdings()  # at once: a line has broken
            assert unpacked(await stage.call("slow", ())) == "lives"

    run(test())


def test_a_call_that_kills_two_replicas_is_not_given_to_a_third(run: Run, listening: Listening) -> None:
    async def test() -> None:
        replicas, handle = [Replica(str(number)) for number in range(3)], Handle()
        stage = Stage("recall", handle, Clock())
        async with (
            listening(**replicas[0].methods) as first,
            listening(**replicas[1].methods) as second,
            listening(**replicas[2].methods) as third,
        ):
            listeners = [first, second, third]
            handle.addresses = [listener.address for listener in listeners]
            await stage.holdings()
            call = asyncio.ensure_future(stage.call("slow", ()))
            dead = 0
            while not call.done():
                for replica, listener in zip(replicas, listeners, strict=True):
                    if replica.asked == 1:
                        replica.asked, dead = 2, dead + 1
                        listener.close()
                await asyncio.sleep(0.001)
            assert dead == 2
            with pytest.raises(UnavailableError, match=LOST):
                await call
            assert handle.calls == []

    run(test())


def test_a_replica_that_serve_no_longer_names_gets_no_further_call(run: Run, listening: Listening) -> None:
    async def test() -> None:
        clock, old, new, handle = Clock(), Replica("old"), Replica("new"), Handle()
        stage = Stage("recall", handle, clock)
        async with listening(**old.methods) as first, listening(**new.methods) as second:
            handle.addresses = [first.address]
            await stage.holdings()
            under_way = asyncio.ensure_future(stage.call("slow", ()))
            await old.began.wait()
            handle.addresses, clock.now_s = [second.address], 3.0
            await stage.holdings()
            assert unpacked(await stage.call("who", ())) == "new"
            old.go.set()
            assert unpacked(await under_way) == "old"  # what it had, it finishes

    run(test())


def test_a_replica_that_cannot_be_reached_by_wire_is_called_through_serve(
    run: Run, listening: Listening
) -> None:
    async def test() -> None:
        handle = Handle()
        stage = Stage("recall", handle, Clock())
        async with listening() as listener:
            handle.addresses = [listener.address]
        assert len(await stage.holdings()) == 1
        assert unpacked(await stage.call("who", ())) == "by serve"

    run(test())


def test_a_refusal_is_final(run: Run, listening: Listening) -> None:
    async def refuse() -> None:
        raise UnavailableError("bundle 2e", "not loaded")

    async def test() -> None:
        handle = Handle()
        stage = Stage("recall", handle, Clock())
        async with listening(refuse=refuse) as listener:
            handle.addresses = [listener.address]
            await stage.holdings()
            with pytest.raises(UnavailableError) as caught:
                await stage.call("refuse", ())
            assert caught.value.args == ("recall", "not loaded")
            assert handle.calls == []

    run(test())


def test_a_replica_that_does_not_say_what_it_holds_is_asked_through_serve(
    run: Run, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployments.wire.stage._HOLDING_S", 0.05)

    async def test() -> None:
        replica, handle = Replica("busy"), Handle()
        stage = Stage("recall", handle, Clock())
        async with listening(**replica.methods) as listener:
            handle.addresses = [listener.address]
            await stage.holdings()
            busy = asyncio.ensure_future(stage.call("slow", ()))
            await replica.began.wait()
            assert len(await stage.holdings()) == 1
            assert handle.looks == 2
            replica.go.set()
            assert unpacked(await busy) == "busy"

    run(test())
