"""Queries to Prometheus, put together of few kinds, so that all panels count alike.

Every series is picked by the namespace and the job that the dashboard shows: one release of the chart.
"""

OURS = 'namespace="$namespace",job="$job"'
WINDOW = "$__rate_interval"
RECOMMEND = 'route=~"/recommend.*"'


def series(metric: str, where: str = "") -> str:
    """Return the series of the release.

    >>> series("marquee_inside", 'kind="events"')
    'marquee_inside{namespace="$namespace",job="$job",kind="events"}'
    """
    return f"{metric}{{{OURS}{',' if where else ''}{where}}}"


def total(metric: str, *by: str, where: str = "") -> str:
    """Return the sum of a gauge over pods and whatever is not named."""
    return f"sum{_by(by)}({series(metric, where)})"


def largest(metric: str, *by: str, where: str = "") -> str:
    """Return the largest of a gauge over pods."""
    return f"max{_by(by)}({series(metric, where)})"


def smallest(metric: str, *by: str, where: str = "") -> str:
    """Return the smallest of a gauge over pods."""
    return f"min{_by(by)}({series(metric, where)})"


def rate(metric: str, *by: str, where: str = "") -> str:
    """Return how much a counter rises per second."""
    return f"sum{_by(by)}(rate({series(metric, where)}[{WINDOW}]))"


def quantile(q: float, histogram: str, *by: str, where: str = "") -> str:
    """Return a quantile of all pods together."""
    buckets = rate(f"{histogram}_bucket", *by, "le", where=where)
    return f"histogram_quantile({q:g}, {buckets})"


def mean(histogram: str, *by: str, where: str = "") -> str:
    """Return the mean of what a histogram observed."""
    return f"{rate(f'{histogram}_sum', *by, where=where)} / {rate(f'{histogram}_count', *by, where=where)}"


def or_none(query: str, label: str) -> str:
    """Return a query whose counters appear with their first count, and "none" at zero before that.

    Without it a panel of what goes wrong is empty while all is well, as if nobody looked.
    """
    return f'{query} or on() label_replace(vector(0), "{label}", "none", "", "")'


def or_zero(query: str) -> str:
    """Return the query, zero where there are no series: in brackets, to be counted with."""
    return f"({query} or vector(0))"


def _by(labels: tuple[str, ...]) -> str:
    return f" by ({', '.join(labels)}) " if labels else " "
