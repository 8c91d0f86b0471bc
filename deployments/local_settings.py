"""The graph on one machine: what has to be known beyond the graph, and how Ray Serve is set up for it."""

import os
import socket
from pathlib import Path

from pydantic import Field

from deployments.proxy_patience import max_connections
from deployments.serve_environment import SERVE_ENVIRONMENT
from deployments.settings import GraphArgs
from recsys.core.errors import FieldError
from recsys.core.ports import free_ports
from recsys.core.settings import FrozenModel

READY = "ready"
"""What the process of the graph prints when it answers."""


class LocalArgs(FrozenModel):
    """What one machine needs to know beyond the graph."""

    graph: GraphArgs
    """The graph."""

    host: str = "127.0.0.1"
    """Where HTTP is answered; nothing but this machine gets in by default."""

    port: int = Field(default=8000, ge=1, le=65_535)
    """Where HTTP is answered."""

    ray_metrics_port: int | None = Field(default=None, ge=1, le=65_535)
    """Where Ray's own figures are; anywhere when absent."""

    folder: Path
    """Ray's temporary folder; a short path, for sockets lie in it."""


def serve_environment(folder: Path) -> dict[str, str]:
    """Return how Ray Serve is set up on this machine, beside whatever else runs here.

    Args:
        folder: for HAProxy's sockets; a short path.
    """
    proxy = folder / "p"  # Ray adds 56 characters, and HAProxy takes no path of more than 97
    metrics, stats, fallback_http, fallback_grpc = free_ports(4)
    return {
        **SERVE_ENVIRONMENT,
        "RAY_SERVE_HAPROXY_MAXCONN": str(max_connections()),
        "RAY_SERVE_HAPROXY_NBTHREAD": str(min(4, max(1, (os.cpu_count() or 1) // 2))),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(proxy / "c"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(proxy / "a"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(proxy / "m"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(proxy),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(proxy / "s"),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(metrics),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(stats),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(fallback_http),
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(fallback_grpc),
    }


def check_port(host: str, port: int) -> None:
    """Raise FieldError when somebody listens on a port already."""
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((host, port))
        except OSError as error:
            raise FieldError("port", str(port), f"a free one ({error.strerror}); try --port") from error
