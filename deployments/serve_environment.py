"""How Ray Serve is set up wherever the graph runs; docs/decisions/serving-graph.md has the figures behind it.

Ray reads these variables when its processes start, so they stand in the environment of whatever starts Ray:
the launcher on one machine, the pods of a cluster. What differs from machine to machine is not here.
"""

from typing import Final

from deployments.proxy_patience import SILENCE_S, with_patience

SERVE_ENVIRONMENT: Final = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    # One router gathers the larger batches; the other stands by, and gets the retries when it dies.
    "RAY_SERVE_HAPROXY_BALANCE_ALGORITHM": with_patience("first"),
    "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": str(SILENCE_S),
    "RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S": str(SILENCE_S),
    "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",  # or a Python process reads a line of every request
    "RAY_SERVE_HAPROXY_RETRY_ON": "conn-failure empty-response",
    "RAY_SERVE_HAPROXY_RETRIES": "3",
    "RAY_SERVE_HAPROXY_TUNE_BUFSIZE": "65536",  # only requests that fit into it are tried again
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",  # as HAProxy learns within one who leaves
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.5",  # its own 0.1 s costs 4 % of a core
    "RAY_SERVE_METRICS_EXPORT_INTERVAL_MS": "1000",  # ours go another way
    "RAY_prestart_worker_first_driver": "0",
    "RAY_worker_niceness": "0",  # Ray makes its workers yield to everybody; these here answer people
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""By name; the values are what Ray reads."""
