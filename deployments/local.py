"""The graph on one machine: ``python -m deployments.local <settings as JSON>``, started by the launcher.

It prints one line when it answers, and ends when its standard input does: so it never outlives its launcher.
"""

import os
import signal
import sys
from math import ceil

import ray
from ray import serve

from deployments.graph import build
from deployments.local_settings import READY, LocalArgs
from deployments.settings import GraphArgs, Replicas

_OBJECT_STORE_BYTES = 100 << 20  # little goes through it: calls travel by value


def cpus_counted(args: GraphArgs) -> int:
    """Return how many cores Ray has to be told of for all replicas to find room."""

    def needed(replicas: Replicas) -> float:
        return replicas.replicas * replicas.cpus

    per_lane = needed(args.recall) + needed(args.ranking)
    return max(os.cpu_count() or 1, ceil(needed(args.router) + len(args.lanes) * per_lane))


def run(args: LocalArgs) -> None:
    """Start Ray and the graph, say so, and wait for the end of standard input."""
    ray.init(
        address="local",
        num_cpus=cpus_counted(args.graph),
        include_dashboard=False,
        object_store_memory=_OBJECT_STORE_BYTES,
        log_to_driver=False,
        _temp_dir=str(args.folder),
        _node_ip_address="127.0.0.1",
    )
    try:
        serve.start(http_options={"host": args.host, "port": args.port})
        serve.run(build(args.graph), name="marquee")
        sys.stdout.write(f"{READY}\n")
        sys.stdout.flush()
        sys.stdin.read()
    finally:
        ray.shutdown()


def main() -> None:
    """Read the settings from the command line and run."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    run(LocalArgs.model_validate_json(sys.argv[1]))


if __name__ == "__main__":
    main()
