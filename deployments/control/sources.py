"""Which source a controller has its counters from."""

from deployments.control.counters import Counters, PrometheusCounters, ServiceCounters
from deployments.control.pods import PodsCounters, resolver_of
from recsys.core.clock import monotonic_clock, unix_clock
from recsys.core.errors import FieldError


def counters_from(url: str, *, prometheus: str | None, selector: str, pods: str | None) -> Counters:
    """Return the source that was asked for: Prometheus, all pods, or else the service itself.

    Args:
        url: of the service.
        prometheus: its address.
        selector: labels of the service there.
        pods: ``HOST:PORT``, the name of all pods.

    Raises:
        FieldError: two were asked for, or ``pods`` is no such thing.
    """
    if prometheus is not None and pods is not None:
        raise FieldError("pods", pods, "one source of counters: --prometheus or --pods")
    if prometheus is not None:
        return PrometheusCounters(prometheus, clock=unix_clock, selector=selector)
    if pods is not None:
        return PodsCounters(resolver_of(pods), clock=monotonic_clock)
    return ServiceCounters(url)
