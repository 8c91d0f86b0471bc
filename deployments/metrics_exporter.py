"""A small HTTP server beside the processes of a pod: their figures, added up whenever somebody asks."""

import logging
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

from deployments.metrics_files import CONTENT_TYPE, page

_log = logging.getLogger(__name__)
_PLAIN = "text/plain; charset=utf-8"


@contextmanager
def exporter(figures: Callable[[], bytes], host: str, port: int) -> Iterator[int]:
    """Answer ``/metrics`` and ``/healthz`` while the block lasts; yield the port.

    Args:
        figures: the page as it is now: :func:`added_up` or :func:`as_written`.
        host: the address to listen at.
        port: 0 for any that is free.

    Raises:
        OSError: it cannot be listened there.
    """
    with ThreadingHTTPServer((host, port), partial(_Handler, figures)) as server:
        thread = Thread(target=server.serve_forever, name="exporter", daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def added_up(folder: Path) -> Callable[[], bytes]:
    """Return what adds up the figures of all processes that share a folder; nothing while it is not there."""
    return partial(page, folder)


def as_written(file: Path) -> Callable[[], bytes]:
    """Return what reads a page that one process writes whole; nothing while there is none."""

    def figures() -> bytes:
        try:
            return file.read_bytes()
        except FileNotFoundError:
            return b""

    return figures


class _Handler(BaseHTTPRequestHandler):
    timeout = 10.0  # whoever connects and says nothing

    def __init__(self, figures: Callable[[], bytes], *connection: object) -> None:
        self._page = figures
        super().__init__(*connection)  # type: ignore[arg-type]  # as socketserver hands them on

    def do_GET(self) -> None:
        """Answer."""
        path = urlsplit(self.path).path
        if path == "/metrics":
            self._answer_with_figures()
        elif path == "/healthz":
            self._answer(HTTPStatus.OK, b"alive\n")
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"there are /metrics and /healthz\n")

    def log_message(self, *_: object) -> None:
        """Say nothing: somebody asks every few seconds."""

    def _answer_with_figures(self) -> None:
        try:
            figures = self._page()
        except (OSError, RuntimeError, ValueError, struct.error) as error:
            _log.warning("a file of figures is not whole: %r", error)
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, b"a file of figures is not whole\n")
        else:
            self._answer(HTTPStatus.OK, figures, CONTENT_TYPE)

    def _answer(self, status: HTTPStatus, body: bytes, content_type: str = _PLAIN) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
