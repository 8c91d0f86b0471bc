"""``marquee up``: from nothing to recommendations over HTTP. What is done already is not done again."""

import json
import shlex
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.console import Console

from deployments.cli.serve import (
    DEFAULT_HOME,
    DEFAULT_PORT,
    PseudonymiseOption,
    begin_traffic,
    graph_args,
    serve_until_stopped,
    stoppable,
)
from deployments.door import open_door
from deployments.local_settings import check_port
from recsys.core.clock import unix_clock
from recsys.data.formats import load_dataset
from recsys.data.schema import POSITIVE_KINDS, Dataset
from recsys.state.open import open_user_state
from recsys.state.seeding import seed_state

app = typer.Typer(pretty_exceptions_enable=False)

_MARQUEE = (sys.executable, "-c", "from recsys.cli.main import main; main()")
_MOST_SEEDED = 2_000_000
_TOP_N = 5


@app.command(name="up")
def main(
    *,
    data: Annotated[
        Path | None, typer.Option(help="Ours, MovieLens or KuaiRand; simulated when absent.")
    ] = None,
    scenario: Annotated[str, typer.Option(help="What to simulate when there is no data.")] = "small",
    home: Annotated[Path, typer.Option(help="Everything that is made lies here.")] = DEFAULT_HOME,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = DEFAULT_PORT,
    config: Annotated[
        Path | None, typer.Option(help="JSON file with training settings that differ from the defaults.")
    ] = None,
    exposures: Annotated[bool, typer.Option(help="Take down what is served, in its folder in HOME.")] = True,
    pseudonymise: PseudonymiseOption = False,
) -> None:
    """Data, training, registry, traffic, graph: then it answers, until Ctrl-C."""
    console = Console(stderr=True)
    check_port(host, port)
    folder = data or home / "data" / scenario
    own = home / folder.resolve().name
    with stoppable():
        if data is None and not (folder / "dataset.json").is_file():
            console.print(f"[b]1[/b] data: simulating a world ({scenario}) into {folder}")
            _verb("data", "simulate", "--scenario", scenario, "--out", str(folder))
        else:
            console.print(f"[b]1[/b] data: {folder}")
        console.print(f"[b]2[/b] training into {own / 'registry'}")
        settings = [] if config is None else ["--config", str(config)]
        _verb(
            "train",
            "--data",
            str(folder),
            "--registry",
            str(own / "registry"),
            "--channel",
            "stable",
            "--no-gate",  # a first look; `marquee train` keeps its gate
            *settings,
        )
    args = graph_args(own, exposures=exposures, pseudonymise=pseudonymise)
    dataset = load_dataset(folder, now_s=unix_clock()).dataset
    console.print("[b]3[/b] histories of the data's users into the user state")
    if dataset.interactions.height <= _MOST_SEEDED:
        door = open_door(args.privacy, args.event_log)
        with open_user_state(args.state_url) as state:
            console.print(f"{seed_state(dataset.interactions, state, name=door.name):,} interactions")
    else:
        console.print(f"left out: more than {_MOST_SEEDED:,} interactions; users begin anew")
    bundle = begin_traffic(args, follow=True)
    console.print(f"[b]4[/b] the graph, with bundle {bundle}")
    serve_until_stopped(
        args, host=host, port=port, as_json=False, on_ready=lambda address: _explain(address, dataset, own)
    )


def _verb(*words: str) -> None:
    """Run a verb in a process of its own, whose memory goes with it; end as it ends."""
    process = subprocess.Popen([*_MARQUEE, *words])
    try:
        status = process.wait()
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise SystemExit(130) from None
    if status:
        raise SystemExit(status)


def _explain(address: str, dataset: Dataset, home: Path) -> None:
    """Print a request to try, what comes back, and what it means."""
    user_id = _someone(dataset.interactions)
    body = json.dumps({"user_id": user_id, "top_n": _TOP_N, "explain": True})
    words = ["curl", "-s", f"{address}/v1/recommend", "-H", "Content-Type: application/json", "-d", body]
    typer.echo(f"\nTry: {shlex.join(words)}\n\nIt answers for user {user_id}:")
    answer = _asked(f"{address}/v1/recommend", body)
    titles = dict(dataset.items.select("item_id", "title").iter_rows())
    for item in answer["items"]:
        name = titles.get(item["item_id"]) or item["item_id"]
        typer.echo(f"  {item['position']}. {name} (item {item['item_id']}): {item['reason']}")
    missing = ", ".join(f"{part['stage']} ({part['why']})" for part in answer["degraded"])
    typer.echo(
        f"\nitems: the list, best first; source: which recall source named an item.\n"
        f"arm and bundle: who answered ({answer['arm']}, {answer['bundle']}).\n"
        f"cursor: for the next page. degraded: what had to be left out ({missing or 'nothing'}).\n"
        f"All calls, to read and to try: {address}/docs\n"
        f"Another model for some users first: marquee rollout start BUNDLE --home {home}\n"
        "Ctrl-C stops everything."
    )


def _someone(interactions: pl.DataFrame) -> str:
    """Return a user with an ordinary history, the same every time."""
    chosen = interactions.filter(pl.col("kind").is_in([kind.value for kind in POSITIVE_KINDS]))
    lengths = chosen.group_by("user_id").len().sort("len", "user_id")
    return str(lengths["user_id"][lengths.height // 2]) if lengths.height else "ada"


def _asked(url: str, body: str) -> dict[str, Any]:
    request = urllib.request.Request(url, body.encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10.0) as answer:
        found: dict[str, Any] = json.loads(answer.read())
    return found
