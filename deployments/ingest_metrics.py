"""What ingest has done, as Prometheus reads it; asked of its figures whenever somebody scrapes."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from recsys.overlay.overlay import Put
from recsys.streams.figures import IngestFigures
from recsys.streams.message import Reason


class IngestMetrics(Collector):
    """Shows figures.

    Args:
        figures: of the process.
    """

    def __init__(self, figures: IngestFigures) -> None:
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        """Yield every metric."""
        figures = self._figures
        # Zeros from the start: to Prometheus a counter that is first seen above zero has not risen.
        overlaid = {fate.value: figures.overlaid[fate.value] for fate in Put}
        reasons = {reason.value: figures.poison[reason.value] for reason in Reason}
        yield from _counters(
            ("marquee_ingest_messages", "Messages by what became of them", "fate", figures.fates),
            (
                "marquee_ingest_overlaid",
                "Changes of items by what the overlay made of them; full: left out",
                "fate",
                overlaid,
            ),
            ("marquee_ingest_dead_letters", "Messages that could not be used", "reason", reasons),
            ("marquee_ingest_troubles", "Tries that failed and were made again", "part", figures.troubles),
        )
        for name, what, count in (
            ("landed", "Rows that were new in their table", figures.n_landed),
            ("known", "Events that stood in the lake already", figures.n_known),
            ("late", "Events that came more than a day after they happened", figures.n_late),
            ("out_of_order", "Events older than one before them", figures.n_out_of_order),
            ("missing", "Positions that retention took before they were read", figures.n_missing),
            ("commits", "Batches that stand in their table", figures.n_commits),
        ):
            yield CounterMetricFamily(f"marquee_ingest_{name}", what, value=count)
        yield GaugeMetricFamily(
            "marquee_ingest_behind_seconds", "Age of the latest message applied", value=figures.behind_s
        )
        lag = GaugeMetricFamily(
            "marquee_ingest_lag", "Positions not read yet: messages, bytes of files", labels=["source"]
        )
        for source, behind in list(figures.lag.items()):
            lag.add_metric([source], behind)
        yield lag


@contextmanager
def ingest_metrics(figures: IngestFigures, host: str, port: int) -> Iterator[int]:
    """Answer ``/metrics`` while the block lasts; yield the port (0 asks for any that is free)."""
    registry = CollectorRegistry()
    registry.register(IngestMetrics(figures))
    server, thread = start_http_server(port, host, registry)
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _counters(*described: tuple[str, str, str, dict[str, int]]) -> Iterator[Metric]:
    for name, what, label, counts in described:
        family = CounterMetricFamily(name, what, labels=[label])
        for value, count in list(counts.items()):
            family.add_metric([value], count)
        yield family
