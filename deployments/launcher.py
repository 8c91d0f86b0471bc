"""Starting and stopping the graph on this machine: what it started is gone afterwards, and nothing else."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from deployments.local_settings import READY, LocalArgs, check_port, serve_environment
from deployments.settings import GraphArgs
from recsys.core.errors import UnavailableError

_MARK = "MARQUEE_RUN"
_STOP_S = 10.0
_READY_S = 120.0
_POLL_S = 0.1
_LOG_LINES = 20
_LONGEST_TMP = 20


@contextmanager
def running_graph(
    graph: GraphArgs, *, host: str, port: int, ray_metrics_port: int | None = None
) -> Iterator["RunningGraph"]:
    """Run the graph in processes of its own while the block lasts.

    Args:
        graph: what runs.
        host: where HTTP is answered.
        port: likewise.
        ray_metrics_port: where Ray's own figures are, on every address; anywhere when absent.

    Raises:
        FieldError: the port is taken.
        UnavailableError: the graph did not start; the message ends with its last words.
    """
    check_port(host, port)
    folder = _short_folder()
    metrics = folder / "metrics"
    metrics.mkdir()
    args = LocalArgs(
        graph=graph.model_copy(update={"metrics": metrics}),
        host=host,
        port=port,
        ray_metrics_port=ray_metrics_port,
        folder=folder / "ray",
    )
    running = RunningGraph(args, folder)
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.stop()
        shutil.rmtree(folder, ignore_errors=True)


class RunningGraph:
    """The graph's processes. All carry the same mark in their environment, by which they are found again."""

    def __init__(self, args: LocalArgs, folder: Path) -> None:
        self.address = f"http://{args.host}:{args.port}"
        self._mark = uuid4().hex
        self._log = folder / "graph.log"
        self.replica_logs = args.folder / "session_latest" / "logs" / "serve"
        environment = {**os.environ, **serve_environment(folder), _MARK: self._mark}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "deployments.local", args.model_dump_json()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                start_new_session=True,  # a Ctrl-C in the terminal reaches us alone; we pass it on
            )

    def wait_until_ready(self) -> None:
        """Wait until recommendations come in full.

        Raises:
            UnavailableError: the graph ended, or it is not ready within two minutes.
        """
        said = self._process.stdout or ()  # Ray says things there too
        if not any(line.decode(errors="replace").strip() == READY for line in said):
            raise UnavailableError("graph", f"it did not start:\n{self.last_words()}")
        give_up_s = time.monotonic() + _READY_S
        while not self._is_ready():
            if time.monotonic() > give_up_s or self._process.poll() is not None:
                raise UnavailableError("graph", f"it is not ready:\n{self.last_words()}")
            time.sleep(_POLL_S)

    def wait(self) -> None:
        """Wait until the graph ends of itself."""
        self._process.wait()

    def last_words(self) -> str:
        """Return the end of the graph's log."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-_LOG_LINES:])

    def stop(self) -> None:
        """Stop the process, then whatever of its own it left behind."""
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_S)
        give_up_s = time.monotonic() + _STOP_S
        while (left := self.process_ids()) and time.monotonic() < give_up_s:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(_POLL_S)
        self._process.wait(_STOP_S)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def process_ids(self) -> list[int]:
        """Return the ids of all processes of this graph that are alive."""
        mark = f"{_MARK}={self._mark}".encode()
        return [pid for pid, environment in _environments() if mark in environment]

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/readyz", timeout=1.0) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def _short_folder() -> Path:
    """Return a new temporary folder; sockets will lie in it, whose paths must not be long."""
    usual = tempfile.gettempdir()
    return Path(tempfile.mkdtemp(prefix="mq-", dir=usual if len(usual) <= _LONGEST_TMP else "/tmp"))


def _environments() -> Iterator[tuple[int, bytes]]:
    """Yield the environment of every process that may be read; none where there is no /proc."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            yield int(folder.name), (folder / "environ").read_bytes()
