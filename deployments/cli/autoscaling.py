"""``marquee autoscaling``: our scaling policy against Ray Serve's own, on made-up days."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from deployments.autoscaling.simulation.comparison import Compared, compare
from deployments.autoscaling.simulation.plot import draw
from deployments.autoscaling.simulation.world import Costs

app = typer.Typer(pretty_exceptions_enable=False)

_WIDTH = 100  # the table is for a log as well as for a terminal


@app.command(name="autoscaling")
def main(
    *,
    seed: Annotated[int, typer.Option(help="Of the arrivals.")] = 0,
    plot: Annotated[Path | None, typer.Option(help="Also draw what happened, into this SVG or PNG.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON instead of a table.")
    ] = False,
) -> None:
    """Simulate the graph under every trace and policy: late requests, replica-seconds, changes."""
    costs = Costs()
    with Console(stderr=True).status("simulating (a quarter of a minute)"):
        compared = list(compare(costs, seed=seed))
    if plot is not None:
        draw(compared, plot)
    if as_json:
        typer.echo(json.dumps([one.row() for one in compared]))
        return
    Console(width=_WIDTH).print(_table(compared, costs))


def _table(compared: list[Compared], costs: Costs) -> Table:
    table = Table(
        title=f"late: beyond {1_000 * costs.goal_s:g} ms; a replica takes {costs.start_s:g} s to start"
    )
    for name in ("trace", "policy"):
        table.add_column(name)
    for name in ("late %", "replica-seconds", "changes", "turns"):
        table.add_column(name, justify="right")
    for one in compared:
        table.add_row(
            *(f"{value:,}" if not isinstance(value, str) else value for value in one.row().values())
        )
    return table
