"""``marquee ingest``: from Kafka, or from the files of an event log, into user state and lake."""

import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console

from deployments.ingest_metrics import ingest_metrics
from recsys.cli.places import events_at_home, home, lake_at_home, state_at_home
from recsys.core.clock import monotonic_clock
from recsys.lake.open import open_lake
from recsys.overlay.open import open_overlay
from recsys.state.open import open_user_state
from recsys.streams.ingest import Ingest, IngestConfig
from recsys.streams.message import Judgement
from recsys.streams.reading import open_reading
from recsys.streams.topics import TopicSettings

app = typer.Typer(pretty_exceptions_enable=False)

_TOLD_EVERY_S = 10.0


@app.command(name="ingest")
def main(
    *,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            envvar="MARQUEE_EVENT_LOG",
            show_default="events in MARQUEE_HOME",
            help="kafka://HOST:PORT/PREFIX, or the folder of an event log.",
        ),
    ] = None,
    state: Annotated[
        str | None,
        typer.Option(show_default="state.db in MARQUEE_HOME", help="sqlite:////path or redis://host:port/0."),
    ] = None,
    lake: Annotated[
        str | None,
        typer.Option(
            show_default="lake in MARQUEE_HOME", help="Of the lake's tables: a folder, or s3://bucket/prefix."
        ),
    ] = None,
    letters: Annotated[
        Path | None,
        typer.Option(
            "--dead-letters",
            show_default="dead-letters.jsonl beside the lake, or in MARQUEE_HOME",
            help="File for what cannot be used; with Kafka it goes to the topic PREFIX.dead-letters.",
        ),
    ] = None,
    group: Annotated[str, typer.Option(help="Its processes share the partitions.")] = "marquee-ingest",
    member: Annotated[
        str | None,
        typer.Option(help="A name of its own, the same after a restart: it has its partitions back at once."),
    ] = None,
    partitions: Annotated[int, typer.Option(min=1, help="Of topics that are not there yet.")] = 6,
    replicas: Annotated[int, typer.Option(min=1, help="Brokers that hold them.")] = 1,
    batch_size: Annotated[int, typer.Option(min=1, help="Messages applied at once.")] = 10_000,
    batch_s: Annotated[float, typer.Option("--batch-seconds", min=0.01, help="Longest wait for them.")] = 2.0,
    max_ahead_s: Annotated[
        float, typer.Option("--ahead-seconds", min=0.01, help="How far ahead clocks of clients may be.")
    ] = 300.0,
    once: Annotated[bool, typer.Option(help="End when nothing more is there.")] = False,
    host: Annotated[str, typer.Option(help="Address for figures.")] = "127.0.0.1",
    metrics_port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Answer /metrics here; nowhere when absent.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print figures as lines of JSON.")] = False,
) -> None:
    """Apply what comes to user state and lake, each message once, until Ctrl-C or SIGTERM."""
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    root = lake or lake_at_home()
    beside = home() if "://" in root else Path(root).parent
    tables = open_lake(root, make=True)
    place = source or str(events_at_home())
    console = Console(stderr=True)
    with ExitStack() as stack:
        state_url = state or state_at_home()
        store = stack.enter_context(open_user_state(state_url))
        overlay = stack.enter_context(open_overlay(state_url))
        reading = open_reading(
            place,
            tables,
            group=group,
            member=member,
            topics=TopicSettings(partitions=partitions, replicas=replicas),
            letters=letters or beside / "dead-letters.jsonl",
            is_ending=ending.is_set,
        )
        stack.enter_context(closing(reading.source))
        ingest = Ingest(
            reading.source,
            store,
            tables,
            reading.letters,
            overlay=overlay,
            config=IngestConfig(
                batch_size=batch_size, batch_s=batch_s, judgement=Judgement(max_ahead_s=max_ahead_s)
            ),
            is_ending=ending.is_set,
        )
        if metrics_port is not None:
            port = stack.enter_context(ingest_metrics(ingest.figures, host, metrics_port))
            console.print(f"figures at http://{host}:{port}/metrics")
        _run(ingest, ending, once=once, tell=_teller(ingest, console, as_json=as_json))
    console.print("ended: what was read is applied, or is read again")


def _run(ingest: Ingest, ending: threading.Event, *, once: bool, tell: Callable[[], None]) -> None:
    """Apply batch after batch, and tell now and then how it stands."""
    told_s = monotonic_clock()
    while not ending.is_set():
        ingest.step()
        if once and ingest.is_done:
            break
        if monotonic_clock() >= told_s + _TOLD_EVERY_S:
            told_s = monotonic_clock()
            tell()
    tell()


def _teller(ingest: Ingest, console: Console, *, as_json: bool) -> Callable[[], None]:
    def tell() -> None:
        if as_json:
            typer.echo(orjson.dumps(ingest.figures.to_json()))
        else:
            console.print(ingest.figures.in_a_line())

    return tell
