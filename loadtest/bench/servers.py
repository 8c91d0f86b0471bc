"""The servers that a benchmark drives, each in processes of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from loadtest.soak.memory import held_by, marked
from recsys.core.errors import UnavailableError
from recsys.core.ports import free_ports

MARQUEE = (sys.executable, "-c", "from recsys.cli.main import main; main()")
_MARK = "MARQUEE_BENCH_SERVER"  # in the environment of a server and of all that it starts
_START_S = 180.0
_STOP_S = 30.0
_POLL_S = 0.2
_UTIME, _STIME = 11, 12  # fields of /proc/<pid>/stat behind the command's name


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers."""

    name: str
    port: int
    mark: str  # in the environment of all its processes

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def cpu_s(self) -> float:
        """Return the processor time that its processes have used so far, in seconds."""
        ticks = 0
        for pid in marked(self.mark):
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has just ended
                continue
            ticks += int(fields[_UTIME]) + int(fields[_STIME])
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        """Return the memory that its processes hold for themselves, in MiB (what they share is not in it)."""
        held = (held_by(pid) for pid in marked(self.mark))
        return sum(one.own for one in held if one is not None) / 2**20


@contextmanager
def serve(
    registry: Path,
    home: Path,
    settings: Sequence[str] = (),
    *,
    name: str = "graph",
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Run ``marquee serve`` while the block lasts.

    Without its cache, for a benchmark measures lists that are computed; ``--cache`` in ``settings`` wins.

    Args:
        registry: its bundles.
        home: of all that it writes.
        settings: further arguments.
        name: of its log in ``home``, and in errors.
        environment: beside that of this process.
    """
    (port,) = free_ports(1)
    output = home / f"{name.replace(' ', '-')}.out"
    command = [*MARQUEE, "serve", "--registry", str(registry), "--home", str(home), "--port", str(port)]
    words = [*command, "--json", "--no-cache", *settings]
    with running(name, words, output, environment) as (process, mark):
        _wait_for(name, process, output, lambda: b"address" in output.read_bytes())
        yield Server(name, port, mark)


@contextmanager
def monolith(registry: Path, home: Path, workers: int = 1) -> Iterator[Server]:
    """Run the plain process, or so many of them on one port, while the block lasts."""
    (port,) = free_ports(1)
    name = "monolith" if workers == 1 else f"monolith x{workers}"
    state_url = f"sqlite:///{home.absolute() / 'monolith.db'}"
    module = "loadtest.bench.monolith"
    command = [sys.executable, "-m", module, str(registry), state_url, str(port), str(workers)]
    output = home / f"monolith-{workers}.out"
    with running(name, command, output) as (process, mark):
        _wait_for(name, process, output, lambda: _answers(port))
        yield Server(name, port, mark)


@contextmanager
def plain_serve(registry: Path, home: Path) -> Iterator[Server]:
    """Run the same stages as Ray Serve's own defaults have them, while the block lasts."""
    (port,) = free_ports(1)
    state_url = f"sqlite:///{home.absolute() / 'plain-serve.db'}"
    # imported, not run: Ray ships the classes of a main module without what they call
    program = "from loadtest.bench.plain_serve import main; main()"
    command = [sys.executable, "-c", program, str(registry), state_url, str(port)]
    output = home / "plain-serve.out"
    with running("serve defaults", command, output) as (process, mark):
        _wait_for("serve defaults", process, output, lambda: b"ready" in output.read_bytes())
        yield Server("serve defaults", port, mark)


@contextmanager
def running(
    name: str, command: Sequence[str], output: Path, more: Mapping[str, str] | None = None
) -> "Iterator[tuple[subprocess.Popen[bytes], str]]":
    """Run a command while the block lasts, then end it by SIGTERM.

    Args:
        name: of it, in errors.
        command: words.
        output: file for all that it says.
        more: environment beside that of this process.

    Yields:
        The process, and what stands in the environment of it and of all that it starts.

    Raises:
        UnavailableError: it did not end within half a minute.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    mark = uuid4().hex
    one_thread = {"OMP_NUM_THREADS": "1"}  # faster on few cores
    environment = {**os.environ, **one_thread, **(more or {}), _MARK: mark}
    with output.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment, start_new_session=True)
    try:
        yield process, f"{_MARK}={mark}"
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired as error:
            process.kill()
            raise UnavailableError(name, f"it did not stop within {_STOP_S:g} s") from error
        finally:
            for pid in marked(f"{_MARK}={mark}"):  # what it had begun and not waited for
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)


def _wait_for(name: str, process: "subprocess.Popen[bytes]", output: Path, is_up: Callable[[], bool]) -> None:
    give_up_s = time.monotonic() + _START_S
    while not is_up():
        if process.poll() is not None or time.monotonic() > give_up_s:
            raise UnavailableError(name, f"it did not start:\n{output.read_text(errors='replace')[-2_000:]}")
        time.sleep(_POLL_S)


def _answers(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
