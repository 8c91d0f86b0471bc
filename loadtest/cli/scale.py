"""``marquee scale``: from nothing to lists for 1 million users, each step with its time and memory."""

import json
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from loadtest.bench.in_process import in_turns, open_pipeline
from recsys.core.clock import monotonic_clock

app = typer.Typer(pretty_exceptions_enable=False)

_SCENARIOS = ("medium", "large")
_SAMPLED_USERS = 1_000


@app.command(name="scale")
def main(
    *,
    folder: Annotated[Path, typer.Option(help="Where data and bundles are kept.")] = Path(".marquee/scale"),
    requests: Annotated[int, typer.Option(min=100, help="Requests timed per bundle.")] = 2_000,
    again: Annotated[bool, typer.Option("--again", help="Simulate and train even if it was done.")] = False,
) -> None:
    """Simulate, train and serve 10,000 and 1,000,000 users over 20,000 items; ends with a line of JSON."""
    console = Console(stderr=True)
    figures = {}
    for scenario in _SCENARIOS:
        with console.status(f"{scenario}: data and training (minutes; nothing is done twice)"):
            figures[scenario] = _prepared(folder / scenario, scenario, again=again)
    with console.status("the pipelines, one request each in turn"):
        times_s = _timed(folder, requests)
    summary = {
        name: {**figures[name], "p50_ms": _ms(times, 50), "p99_ms": _ms(times, 99)}
        for name, times in zip(_SCENARIOS, times_s, strict=True)
    }
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    Console().print(_table(summary))
    ratio = summary["large"]["p99_ms"] / summary["medium"]["p99_ms"]
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    typer.echo(
        json.dumps(
            {**summary, "p99_ratio": round(ratio, 3), "serving_peak_mb_both": peak_mb, "machine": machine}
        )
    )


def _prepared(folder: Path, scenario: str, *, again: bool) -> dict[str, Any]:
    """Return what simulating and training took; the figures of the first time when nothing was to be done."""
    kept = folder / "figures.json"
    if kept.is_file() and not again:
        return dict(json.loads(kept.read_text()))
    data, registry = folder / "data", folder / "registry"
    simulated = _marquee("data", "simulate", "--scenario", scenario, "--seed", "7", "--out", str(data))
    trained = _marquee(
        *(
            "train",
            "--data",
            str(data),
            "--registry",
            str(registry),
            "--channel",
            "stable",
            "--again",
            "--no-gate",
        )
    )
    figures = {
        "n_users": simulated["n_users"],
        "n_items": simulated["n_items"],
        "n_interactions": simulated["n_interactions"],
        "data_s": simulated["seconds"],
        "data_peak_mb": simulated["peak_mb"],
        "train_s": trained["fit_s"] + trained["write_s"],
        "train_peak_mb": trained["peak_mb"],
    }
    kept.write_text(json.dumps(figures))
    return figures


def _marquee(*arguments: str) -> dict[str, Any]:
    """Run one verb in a process of its own, so that its peak memory is its own; return its line of JSON."""
    command: Sequence[str] = (str(Path(sys.executable).with_name("marquee")), *arguments, "--json")
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _timed(folder: Path, n_requests: int) -> list[NDArray[np.float64]]:
    pipelines = [
        open_pipeline(folder / name / "registry", folder / name / "data", _SAMPLED_USERS, seed=0)
        for name in _SCENARIOS
    ]
    return in_turns(pipelines, n_requests, monotonic_clock)


def _ms(times_s: NDArray[np.float64], percentile: float) -> float:
    return round(float(np.percentile(times_s, percentile)) * 1e3, 2)


def _table(summary: dict[str, dict[str, Any]]) -> Table:
    table = Table(title="20,000 items, default settings; one user at a time, no server")
    for column in ("users", "rows", "data", "training", "p50 ms", "p99 ms"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in summary.values():
        table.add_row(
            f"{row['n_users']:,}",
            f"{row['n_interactions']:,}",
            f"{row['data_s']:.0f} s, {row['data_peak_mb']:.0f} MB",
            f"{row['train_s']:.0f} s, {row['train_peak_mb']:.0f} MB",
            f"{row['p50_ms']:.2f}",
            f"{row['p99_ms']:.2f}",
        )
    return table
