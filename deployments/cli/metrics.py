"""``marquee metrics``: what Prometheus scrapes of one pod."""

import signal
from pathlib import Path
from threading import Event
from typing import Annotated

import typer

from deployments.metrics_exporter import added_up, as_written, exporter
from recsys.core.errors import FieldError, UnavailableError

app = typer.Typer(pretty_exceptions_enable=False)


@app.command(name="metrics")
def main(
    *,
    folder: Annotated[
        Path | None, typer.Option(help="Where the processes of the pod add their figures up.")
    ] = None,
    text: Annotated[
        Path | None, typer.Option(help="Or a file that one process writes, such as metrics.prom of drift.")
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "0.0.0.0",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 for any that is free.")] = 9464,
) -> None:
    """Answer /metrics with the figures of all processes that share a folder, or of a file, until the end."""
    place = folder or text
    if place is None or (folder and text):
        raise FieldError("--folder, --text", "both" if place else "neither", "one of them")
    ended = Event()
    for number in (signal.SIGTERM, signal.SIGINT):  # the first process of a container has no handlers at all
        signal.signal(number, lambda *_: ended.set())
    try:
        with exporter(added_up(place) if folder else as_written(place), host, port) as listens_at:
            typer.echo(f"figures of {place} at http://{host}:{listens_at}/metrics")
            ended.wait()
    except OSError as error:
        raise UnavailableError(f"port {port} of {host}", str(error)) from error
