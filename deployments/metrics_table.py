"""The table of docs/metrics.md; ``python -m deployments.metrics_table docs/metrics.md`` writes it anew."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.parser import text_string_to_metric_families

from deployments import metrics
from deployments.ingest_metrics import IngestMetrics
from recsys.drift.compare import WindowVerdict
from recsys.drift.journal import Memory
from recsys.drift.metrics_text import metrics_text
from recsys.streams.figures import IngestFigures

BEGIN: Final = "<!-- the table: python -m deployments.metrics_table docs/metrics.md -->\n"
END: Final = "<!-- end of the table -->\n"
_OF_SEVERAL: Final = {"livesum": "sum", "livemax": "largest", "livemin": "smallest"}
_BY_FEATURE: Final = frozenset({"alarmed", "divergence", "threshold"})


class Described(NamedTuple):
    """A metric as Prometheus shows it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    routers: str  # what becomes of the values of several processes
    what: str


def described() -> Iterator[Described]:
    """Yield every metric of the service, by name."""
    own = [one for one in vars(metrics).values() if isinstance(one, Counter | Gauge | Histogram)]
    for one in sorted(own, key=lambda metric: str(metric._name)):
        (family,) = one.describe()
        counts = family.type == "counter"
        mode = _OF_SEVERAL[one._multiprocess_mode] if isinstance(one, Gauge) else "sum"
        name = f"{family.name}_total" if counts else family.name
        yield Described(name, family.type, tuple(one._labelnames), mode, family.documentation)


def described_of_ingest() -> Iterator[Described]:
    """Yield every metric of ``marquee ingest``."""
    for shown in IngestMetrics(IngestFigures()).collect():
        name = f"{shown.name}_total" if shown.type == "counter" else shown.name
        yield Described(
            name, shown.type, tuple(getattr(shown, "_labelnames", ())), "each its own", shown.documentation
        )


def described_of_drift() -> Iterator[Described]:
    """Yield every metric of ``marquee drift watch``."""
    verdict = WindowVerdict(window=0, begins_s=0.0, ends_s=0.0, n_events=0, n_users=0, features=())
    for shown in text_string_to_metric_families(metrics_text(Memory(), verdict, looked_s=0.0)):
        counts = shown.type == "counter"
        labels = ("feature",) if shown.name.removeprefix("marquee_drift_") in _BY_FEATURE else ()
        name = f"{shown.name}_total" if counts else shown.name
        yield Described(name, shown.type, labels, "each its own", shown.documentation.removesuffix("."))


def all_described() -> Iterator[Described]:
    """Yield every metric: of the service, of ingest, of drift."""
    yield from described()
    yield from described_of_ingest()
    yield from described_of_drift()


def table() -> str:
    """Return the table in Markdown."""
    rows = ["| name | kind | labels | of several processes | what |", "| --- | --- | --- | --- | --- |"]
    for name, kind, labels, routers, what in all_described():
        rows.append(f"| `{name}` | {kind} | {', '.join(labels)} | {routers} | {what} |")
    return "".join(f"{row}\n" for row in rows)


def renewed(page: str) -> str:
    """Return a page with the table of now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(renewed(path.read_text()))
