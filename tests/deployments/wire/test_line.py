"""Lines and listeners over real sockets."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.wire.frames import Kind, frame, packed, unpacked
from deployments.wire.line import Line, LineLostError
from deployments.wire.listener import OVERLOADED, Listener
from recsys.core.errors import UnavailableError

Run = Callable[[Coroutine[object, object, None]], None]
Listening = Callable[..., AbstractAsyncContextManager[Listener]]
Connected = Callable[[Listener], AbstractAsyncContextManager[Line]]


async def until(is_so: Callable[[], bool]) -> None:
    """Wait; the limit of ``run`` ends it."""
    while not is_so():  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0.001)


async def double(number: int) -> int:
    return 2 * number


def test_a_call_returns_what_the_method_returns(run: Run, listening: Listening, connected: Connected) -> None:
    async def test() -> None:
        async with listening(double=double) as listener, connected(listener) as line:
            assert unpacked(await line.call("double", [packed(21)])) == 42

    run(test())


def test_arrays_of_megabytes_arrive_whole(run: Run, listening: Listening, connected: Connected) -> None:
    async def total(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        return numbers * 2

    async def test() -> None:
        sent = np.arange(3_000_000, dtype=np.float64)
        async with listening(total=total) as listener, connected(listener) as line:
            came = unpacked(await line.call("total", [packed(sent)]))
            assert np.array_equal(np.asarray(came), 2 * sent)

    run(test())


def test_calls_are_answered_in_the_order_in_which_they_came(
    run: Run, listening: Listening, connected: Connected
) -> None:
    begun: list[int] = []

    async def note(number: int) -> int:
        begun.append(number)
        await asyncio.sleep(0.001)
        return number

    async def test() -> None:
        async with (
            listening(note=note) as listener,
            connected(listener) as line,
            connected(listener) as other,
        ):
            calls = [(line if n % 2 else other).call("note", [packed(n)]) for n in range(6)]
            assert [unpacked(one) for one in await asyncio.gather(*calls)] == list(range(6))
        assert sorted(begun) == list(range(6))
        assert [n for n in begun if n % 2] == [1, 3, 5]

    run(test())


def test_what_a_replica_cannot_do_reaches_the_caller_with_the_reason(
    run: Run, listening: Listening, connected: Connected
) -> None:
    async def refuse() -> None:
        raise UnavailableError("bundle 1f", "not loaded")

    async def test() -> None:
        async with listening(refuse=refuse) as listener, connected(listener) as line:
            with pytest.raises(UnavailableError) as caught:
                await line.call("refuse", ())
            assert caught.value.args == ("recall", "not loaded")

    run(test())


@pytest.mark.parametrize("broken", ["raises", "answers_no_pickle", "is_not_there"])
def test_a_bug_reaches_its_caller_and_no_other(
    run: Run, broken: str, listening: Listening, connected: Connected
) -> None:
    async def raises() -> None:
        raise ZeroDivisionError

    async def answers_no_pickle() -> object:
        return (one for one in "a generator")

    async def test() -> None:
        methods = {"raises": raises, "answers_no_pickle": answers_no_pickle, "double": double}
        async with listening(**methods) as listener, connected(listener) as line:
            bad, good = line.call(broken, ()), line.call("double", [packed(1)])
            failed, doubled = await asyncio.gather(bad, good, return_exceptions=True)
            assert isinstance(failed, UnavailableError)
            assert failed.args[1] in {"ZeroDivisionError", "TypeError", "KeyError"}
            assert isinstance(doubled, memoryview)

    run(test())


class Held:
    """A method that waits until it is let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.begun: list[int] = []

    async def __call__(self, number: int) -> int:
        self.begun.append(number)
        await self.go.wait()
        return number


def test_a_call_that_is_given_up_while_it_waits_is_never_worked_on(
    run: Run, listening: Listening, connected: Connected
) -> None:
    async def test() -> None:
        held = Held()
        async with listening(held=held) as listener, connected(listener) as line:
            first, second, third = (asyncio.ensure_future(line.call("held", [packed(n)])) for n in range(3))
            await until(lambda: listener.n_waiting == 2)
            second.cancel()
            await until(lambda: listener.n_waiting == 1)
            held.go.set()
            assert [unpacked(await first), unpacked(await third)] == [0, 2]
            assert held.begun == [0, 2]
            assert line.n_under_way == 0

    run(test())


def test_more_calls_than_a_replica_may_have_are_refused(
    run: Run, listening: Listening, connected: Connected
) -> None:
    async def test() -> None:
        held = Held()
        async with listening(held=held, max_waiting=2) as listener, connected(listener) as line:
            calls = [asyncio.ensure_future(line.call("held", [packed(0)]))]
            await until(lambda: bool(held.begun))
            calls += [asyncio.ensure_future(line.call("held", [packed(n)])) for n in range(1, 4)]
            with pytest.raises(UnavailableError, match=OVERLOADED):
                await calls[3]  # one runs, two wait
            held.go.set()
            assert [unpacked(await call) for call in calls[:3]] == [0, 1, 2]

    run(test())


def test_everybody_who_waits_hears_of_a_line_that_breaks(
    run: Run, listening: Listening, connected: Connected
) -> None:
    async def test() -> None:
        held = Held()
        async with listening(held=held) as listener, connected(listener) as line:
            calls = [asyncio.ensure_future(line.call("held", [packed(n)])) for n in range(3)]
            await until(lambda: bool(held.begun))
            listener.close()
            for found in await asyncio.gather(*calls, return_exceptions=True):
                assert isinstance(found, LineLostError)
            assert not line.is_open
            with pytest.raises(LineLostError):
                await line.call("held", [packed(4)])

    run(test())


def test_nobody_at_an_address_is_a_lost_line(run: Run, listening: Listening) -> None:
    async def test() -> None:
        async with listening() as listener:
            address = listener.address
        with pytest.raises(LineLostError, match=str(address.port)):
            await Line.open("recall", address)

    run(test())


def test_a_retired_line_ends_after_its_last_answer(
    run: Run, listening: Listening, connected: Connected
) -> None:
    async def test() -> None:
        held = Held()
        async with listening(held=held) as listener, connected(listener) as line:
            call = asyncio.ensure_future(line.call("held", [packed(7)]))
            await until(lambda: bool(held.begun))
            line.retire()
            assert line.is_open
            held.go.set()
            assert unpacked(await call) == 7
            await until(lambda: not line.is_open)

    run(test())


def test_who_does_not_know_the_secret_gets_nothing_done(run: Run, listening: Listening) -> None:
    async def test() -> None:
        held = Held()
        held.go.set()
        async with listening(held=held) as listener:
            stranger = replace(listener.address, secret=b"guess")
            line = await Line.open("recall", stranger)
            with pytest.raises(LineLostError):
                await line.call("held", [packed(1)])
            assert held.begun == []

    run(test())


async def closed_after(listener: Listener, said: bytes) -> None:
    """Say something and wait until the other side hangs up."""
    reader, writer = await asyncio.open_connection(listener.address.host, listener.address.port)
    writer.write(said)
    with suppress(ConnectionResetError):
        assert await reader.read() == b""
    writer.close()


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"".join(frame(Kind.CALL, 1, [b"x"])),
        b"".join(frame(Kind.HELLO, 1, [])),
        b"".join(frame(Kind.HELLO, 1, [b"x" * 1_000])),
    ],
    ids=["HTTP", "a call before the secret", "no secret", "a long one"],
)
def test_whoever_speaks_otherwise_is_hung_up_on(run: Run, said: bytes, listening: Listening) -> None:
    async def test() -> None:
        async with listening(double=double) as listener:
            await closed_after(listener, said)

    run(test())


def test_whoever_says_nothing_is_hung_up_on(
    run: Run, monkeypatch: pytest.MonkeyPatch, listening: Listening
) -> None:
    monkeypatch.setattr("deployments.wire.listener._HELLO_S", 0.05)

    async def test() -> None:
        async with listening(double=double) as listener:
            await closed_after(listener, b"")

    run(test())


def test_the_secret_is_not_in_what_is_printed(run: Run, listening: Listening) -> None:
    async def test() -> None:
        async with listening() as listener, listening() as other:
            assert "secret" not in repr(listener.address)
            assert listener.address.secret != other.address.secret
            assert len(listener.address.secret) == 32

    run(test())
