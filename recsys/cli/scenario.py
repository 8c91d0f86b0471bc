"""``marquee scenario``: cold start and costs, measured."""

import importlib
import importlib.util
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from recsys.cli.data_source import data_source
from recsys.cli.progress import steps_shown
from recsys.cli.train import read_config
from recsys.core.clock import unix_clock
from recsys.core.durable import replace_durably
from recsys.core.errors import UnavailableError
from recsys.core.settings import FrozenModel
from recsys.data.badrows import OnBadRow
from recsys.data.log import InteractionLog, Vocabulary, encode
from recsys.data.schema import Dataset
from recsys.data.splits import cut_for, leave_last_out
from recsys.evaluation.baselines import BASELINES
from recsys.evaluation.cost_curve import cost_curve, curve_table, made_up_costs, scored
from recsys.evaluation.new_items import find_new_items, new_items
from recsys.evaluation.new_users import OURS, POPULAR, RECENT, find_new_users, new_users
from recsys.evaluation.scenarios import scenario_page
from recsys.reranking.cost import costs_of
from recsys.training.two_stage import fit_two_stage

app = typer.Typer(no_args_is_help=True, help="Cold start and costs, measured.")

DataOption = Annotated[str, typer.Option(help="A data set: ours, MovieLens or KuaiRand.")]
JsonOption = Annotated[Path | None, typer.Option("--json", help="Write the figures here.")]
OutOption = Annotated[Path | None, typer.Option(help="Folder for the page and its plot.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Of training, chance and bootstrap.")]
ConfigOption = Annotated[Path | None, typer.Option(help="JSON file with training settings.")]
ShareOption = Annotated[float, typer.Option(help="The newest part of the events is what comes later.")]


@app.command("new-users")
def print_new_users(
    *,
    data: DataOption,
    test_share: ShareOption = 0.3,
    json_file: JsonOption = None,
    out: OutOption = None,
    seed: SeedOption = 0,
    config: ConfigOption = None,
) -> None:
    """Ask for users whom nothing is known of, then after each of their first clicks."""
    training = read_config(config).model_copy(update={"seed": seed})
    with steps_shown() as on_step:
        dataset, log = _read(data)
        found = find_new_users(log, dataset.items, cut_for(log, test_share))
        fits = {name: BASELINES[name] for name in (POPULAR, RECENT)}
        fits[OURS] = partial(fit_two_stage, config=training)
        report = new_users(found, dataset.items, fits, data=dataset.name, seed=seed, on_step=on_step)
    _write(report, scenario_page(report), json_file, out, "new_users")


@app.command("new-items")
def print_new_items(
    *,
    data: DataOption,
    test_share: ShareOption = 0.3,
    json_file: JsonOption = None,
    out: OutOption = None,
    seed: SeedOption = 0,
    config: ConfigOption = None,
) -> None:
    """Ask who brings items that nobody has chosen yet to those who will choose them."""
    training = read_config(config).model_copy(update={"seed": seed})
    with steps_shown() as on_step:
        dataset, log = _read(data)
        found = find_new_items(log, cut_for(log, test_share))
        model = fit_two_stage(found.train, dataset.items, training, on_step=on_step)
        report = new_items(found, model, data=dataset.name, seed=seed, on_step=on_step)
    _write(report, scenario_page(report), json_file, out, "new_items")


@app.command("costs")
def print_costs(
    *,
    data: DataOption,
    json_file: JsonOption = None,
    out: OutOption = None,
    seed: SeedOption = 0,
    config: ConfigOption = None,
    made_up: Annotated[
        bool, typer.Option("--made-up", help="Draw costs, whatever the catalogue says.")
    ] = False,
) -> None:
    """Say how much quality is kept when lists cost less; validated on the last but one item of users."""
    training = read_config(config).model_copy(update={"seed": seed})
    draw = None if out is None else _drawing()
    with steps_shown() as on_step:
        dataset, log = _read(data)
        split = leave_last_out(leave_last_out(log).train)
        model = fit_two_stage(split.train, dataset.items, training, on_step=on_step)
        asked = scored(model, split, on_share=lambda share: on_step("asking", share))
        known = not made_up and dataset.items["cost"].is_not_null().any()
        curve = cost_curve(
            asked,
            split,
            costs_of(dataset.items) if known else made_up_costs(split.train, seed=seed),
            data=dataset.name,
            costs_from="of the catalogue"
            if known
            else f"made up (log-normal, dearer if popular, seed {seed})",
            seed=seed,
        )
    page = curve_table(curve)
    if out is not None and draw is not None:
        page += f"\n![quality kept against cost saved]({draw(curve, out).name})\n"
    _write(curve, page, json_file, out, "costs")


def _read(data: str) -> tuple[Dataset, InteractionLog]:
    dataset = data_source(data).load(on_bad_row=OnBadRow.FAIL, now_s=unix_clock()).dataset
    return dataset, encode(dataset, Vocabulary(dataset.items["item_id"].to_list()))


def _write(report: FrozenModel, page: str, json_file: Path | None, out: Path | None, name: str) -> None:
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        replace_durably(json_file, report.model_dump_json(indent=2).encode() + b"\n")
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        replace_durably(out / f"{name}.md", page.encode())
    typer.echo(page, nl=False)


def _drawing() -> Callable[[Any, Path], Path]:
    """Return what draws the curve; found out before the long work, not after."""
    if importlib.util.find_spec("matplotlib") is None:
        raise UnavailableError("plotting", "matplotlib is missing; pip install 'marquee-recsys[plots]'")
    draw: Callable[[Any, Path], Path] = importlib.import_module("recsys.evaluation.cost_plot").draw_curve
    return draw
