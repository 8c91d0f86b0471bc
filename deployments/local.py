"""The graph on one machine: ``python -m deployments.local <settings as JSON>``, started by the launcher.

It prints one line when it answers, and ends when its standard input does: so it never outlives its launcher.
"""

import os
import signal
import sys
import time
from math import ceil

import ray
from ray import serve
from ray.serve.context import _get_global_client
from ray.serve.schema import ApplicationStatus, ServeDeploySchema

from deployments.graph import application, build
from deployments.local_settings import READY, LocalArgs
from deployments.proxy_patience import IDLE_S
from deployments.settings import GraphArgs
from recsys.core.errors import UnavailableError

_NAME = "marquee"
_POLL_S = 0.1
_OBJECT_STORE_BYTES = 100 << 20  # little goes through it: calls travel by value


def cpus_counted(args: GraphArgs) -> int:
    """Return how many cores Ray has to be told of for all replicas to find room."""
    most = args.autoscaling and args.autoscaling.most
    router, recall, ranking = most or (args.router.replicas, args.recall.replicas, args.ranking.replicas)
    per_lane = recall * args.recall.cpus + ranking * args.ranking.cpus
    return max(os.cpu_count() or 1, ceil(router * args.router.cpus + len(args.lanes) * per_lane))


def deploy(args: GraphArgs) -> None:
    """Deploy the graph on the Serve that runs, and wait until its first processes do.

    Raises:
        UnavailableError: Ray Serve says why it could not.
    """
    if args.autoscaling is None:
        try:
            serve.run(build(args), name=_NAME)
        except RuntimeError as error:
            raise UnavailableError("graph", f"{error}\n{_why()}") from error
        return
    # A policy for a whole application is taken from a config alone, and this is what `serve deploy` ends in.
    config = ServeDeploySchema(applications=[application(args, args.autoscaling, _NAME)])
    client = _get_global_client()
    if client is None:
        raise UnavailableError("Ray Serve", "it is not started")
    client.deploy_apps(config)
    while (status := serve.status().applications[_NAME]).status is not ApplicationStatus.RUNNING:
        if status.status is ApplicationStatus.DEPLOY_FAILED:
            raise UnavailableError("graph", f"{status.message}\n{_why()}")
        time.sleep(_POLL_S)


def _why() -> str:
    """Return what Ray Serve says of the deployments that did not start."""
    deployments = serve.status().applications[_NAME].deployments
    return "\n".join(f"{name}: {one.message.strip()}" for name, one in deployments.items() if one.message)


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
        _metrics_export_port=args.ray_metrics_port,
    )
    try:
        serve.start(http_options={"host": args.host, "port": args.port, "keep_alive_timeout_s": IDLE_S})
        deploy(args.graph)
        sys.stdout.write(f"{READY}\n")
        sys.stdout.flush()
        sys.stdin.read()
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # we are stopping already
        serve.shutdown()  # type: ignore[no-untyped-call]  # Ray; in good order: routers write what they hold
        ray.shutdown()


def main() -> None:
    """Read the settings from the command line and run."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        run(LocalArgs.model_validate_json(sys.argv[1]))
    except UnavailableError as error:
        sys.exit(str(error))  # its last lines are what the launcher shows


if __name__ == "__main__":
    main()
