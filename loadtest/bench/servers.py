"""The servers that a benchmark drives, each in processes of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from recsys.core.errors import UnavailableError

_MARQUEE = (sys.executable, "-c", "from recsys.cli.main import main; main()")
_START_S = 180.0
_STOP_S = 30.0
_POLL_S = 0.2


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Served:
    """A server that answers."""

    port: int
    pid: int  # its other processes descend from it


@contextmanager
def graph(registry: Path, home: Path, settings: Sequence[str] = ()) -> Iterator[int]:
    """Run ``marquee serve`` while the block lasts; yields its port.

    Without its cache, for a benchmark measures lists that are computed; ``--cache`` in ``settings`` wins.
    """
    with graph_process(registry, home, settings) as served:
        yield served.port


@contextmanager
def graph_process(registry: Path, home: Path, settings: Sequence[str] = ()) -> Iterator[Served]:
    """Run ``marquee serve`` while the block lasts, without its cache unless told otherwise."""
    port = free_port()
    output = home / "graph.out"
    command = [*_MARQUEE, "serve", "--registry", str(registry), "--home", str(home), "--port", str(port)]
    with _running("graph", [*command, "--json", "--no-cache", *settings], output) as process:
        _wait_for("graph", process, output, lambda: b"address" in output.read_bytes())
        yield Served(port, process.pid)


@contextmanager
def monolith(registry: Path, home: Path) -> Iterator[int]:
    """Run the plain process while the block lasts; yields its port."""
    port = free_port()
    state_url = f"sqlite:///{home.absolute() / 'monolith.db'}"
    command = [sys.executable, "-m", "loadtest.bench.monolith", str(registry), state_url, str(port)]
    output = home / "monolith.out"
    with _running("monolith", command, output) as process:
        _wait_for("monolith", process, output, lambda: _listens(port))
        yield port


@contextmanager
def _running(name: str, command: Sequence[str], output: Path) -> "Iterator[subprocess.Popen[bytes]]":
    output.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # the faster setting for both on few cores
    with output.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment, start_new_session=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired as error:
            process.kill()
            raise UnavailableError(name, f"it did not stop within {_STOP_S:g} s") from error


def _wait_for(name: str, process: "subprocess.Popen[bytes]", output: Path, is_up: Callable[[], bool]) -> None:
    give_up_s = time.monotonic() + _START_S
    while not is_up():
        if process.poll() is not None or time.monotonic() > give_up_s:
            raise UnavailableError(name, f"it did not start:\n{output.read_text(errors='replace')[-2_000:]}")
        time.sleep(_POLL_S)


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
