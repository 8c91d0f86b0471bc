"""``marquee rayjob``: start a RayJob from a template and wait until it has ended; what a schedule runs."""

import signal
import sys
from typing import Annotated

import typer

from deployments.kubernetes.address import SCHEME, ConfigMapAddress

app = typer.Typer(pretty_exceptions_enable=False)

_STOPPED = 130  # exit code after Ctrl-C


@app.command(name="rayjob")
def main(
    job: Annotated[str, typer.Argument(help="The RayJob: NAMESPACE/NAME; there is one of it at a time.")],
    *,
    template: Annotated[
        str, typer.Option(help="The ConfigMap that holds it, at key rayjob.json: NAMESPACE/NAME.")
    ],
    at_most: Annotated[float, typer.Option(min=1.0, help="Seconds to wait for its end.")] = 14_400.0,
) -> None:
    """Start a RayJob and wait until it has ended; one that runs already is left alone, with exit code 1."""
    from deployments.kubernetes.connection import api_client  # noqa: PLC0415 - an extra
    from deployments.kubernetes.ray_job import RayJob  # noqa: PLC0415 - an extra

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_STOPPED))  # the first process of a container has none
    address, of = (ConfigMapAddress.parse(f"{SCHEME}://{text}") for text in (job, template))
    started = RayJob(api_client(), address)
    started.start(of)
    typer.echo(f"RayJob {job} has been made")
    try:
        started.finish(at_most, say=typer.echo)
    except KeyboardInterrupt:
        typer.echo(f"marquee: RayJob {job} runs on", err=True)
        raise typer.Exit(_STOPPED) from None
