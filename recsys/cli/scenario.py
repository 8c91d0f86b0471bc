"""``marquee scenario``: cold start, costs and weights of targets, measured."""

import importlib
import importlib.util
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from recsys.cli.data_source import data_source
from recsys.cli.evaluate_impressions import JUDGED, held_out
from recsys.cli.progress import steps_shown
from recsys.cli.train import read_config
from recsys.core.clock import SECONDS_PER_DAY, unix_clock
from recsys.core.durable import replace_durably
from recsys.core.errors import FieldError, UnavailableError
from recsys.core.settings import FrozenModel
from recsys.data.badrows import OnBadRow
from recsys.data.impressions import Target
from recsys.data.log import InteractionLog, Vocabulary, encode
from recsys.data.schema import Dataset
from recsys.data.splits import cut_for, global_time, leave_last_out
from recsys.evaluation.baselines import BASELINES
from recsys.evaluation.cost_curve import cost_curve, curve_table, made_up_costs, scored
from recsys.evaluation.groups import sample_tests
from recsys.evaluation.impressions import blend_curve as blends
from recsys.evaluation.new_items import find_new_items, new_items
from recsys.evaluation.new_users import OURS, POPULAR, RECENT, find_new_users, new_users
from recsys.evaluation.scenarios import scenario_page
from recsys.reranking.cost import costs_of
from recsys.training.two_stage import fit_two_stage

app = typer.Typer(no_args_is_help=True, help="Cold start, costs and weights of targets, measured.")

DataOption = Annotated[str, typer.Option(help="A data set: ours, MovieLens or KuaiRand.")]
JsonOption = Annotated[Path | None, typer.Option("--json", help="Write the figures here.")]
OutOption = Annotated[Path | None, typer.Option(help="Folder for the page and its plot.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Of training, chance and bootstrap.")]
ConfigOption = Annotated[Path | None, typer.Option(help="JSON file with training settings.")]
_USUAL_WEIGHTS = ("click=0.1", "click=0.25", "click=0.5", "click=1", "click=2", "click=4")
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
    draw = None if out is None else _drawing("recsys.evaluation.cost_plot")
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


@app.command("targets")
def print_targets(
    *,
    data: Annotated[Path, typer.Option(help="A data set that tells what was shown.")],
    weights: Annotated[
        list[str] | None,
        typer.Option(help="Of one blend, such as click=0.5,long_view=0.5; once per blend."),
    ] = None,
    test_days: Annotated[float, typer.Option(help="So many days are held out.")] = 3.0,
    skip_days: Annotated[float, typer.Option(min=0.0, help="End so many days before the last.")] = 4.0,
    max_users: Annotated[int | None, typer.Option(min=1, help="Ask at most so many users.")] = None,
    json_file: JsonOption = None,
    out: OutOption = None,
    seed: SeedOption = 0,
    config: ConfigOption = None,
) -> None:
    """Say what weights of targets gain in clicks and lose in next items, on days before the test.

    One training, however many blends are asked about.
    """
    asked = [weights_of(one) for one in weights or _USUAL_WEIGHTS]
    training = read_config(config).model_copy(update={"seed": seed})
    learned = {f"{target.value}_weight": 1.0 for one in asked for target in one}
    targets = training.targets.model_copy(update=learned)
    draw = None if out is None else _drawing("recsys.evaluation.impressions.blend_plot")
    with steps_shown() as on_step:
        on_step(f"reading {data}", 0.0)
        dataset, shown = held_out(
            data,
            test_days=test_days,
            skip_days=skip_days,
            max_users=max_users,
            seed=seed,
            on_bad_row=OnBadRow.FAIL,
            now_s=unix_clock(),
        )
        end_s = shown.cut_s + shown.n_days * SECONDS_PER_DAY
        split = global_time(shown.full.select(shown.full.times_s < end_s), shown.cut_s)
        if max_users is not None:
            split = sample_tests(split, max_users, seed=seed)
        model = fit_two_stage(
            shown.train,
            dataset.items,
            training.model_copy(update={"targets": targets}),
            shown=shown.past,
            on_step=on_step,
        )
        curve = blends.blend_curve(
            model,
            shown,
            split,
            asked,
            targets=[target for target in JUDGED if target in shown.test.answers],
            data=dataset.name,
            seed=seed,
            on_step=on_step,
        )
    page = blends.curve_table(curve)
    if out is not None and draw is not None:
        page += f"\n![what is gained against what is lost]({draw(curve, out).name})\n"
    _write(curve, page, json_file, out, "targets")


def weights_of(text: str) -> dict[Target, float]:
    """Read the weights of a blend, for example ``click=0.5,long_view=1``.

    Raises:
        FieldError: these are no weights above 0 of targets, each once.
    """
    expected = f"TARGET=WEIGHT[,...] of {', '.join(Target)}, each once, weights above 0"
    found: dict[Target, float] = {}
    for part in text.split(","):
        name, _, number = part.partition("=")
        try:
            target, weight = Target(name.strip()), float(number)
        except ValueError as error:
            raise FieldError("weights", text, expected) from error
        if target in found or not 0.0 < weight < math.inf:
            raise FieldError("weights", text, expected)
        found[target] = weight
    return found


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


def _drawing(module: str) -> Callable[[Any, Path], Path]:
    """Return what draws a curve; found out before the long work, not after."""
    if importlib.util.find_spec("matplotlib") is None:
        raise UnavailableError("plotting", "matplotlib is missing; pip install 'marquee-recsys[plots]'")
    draw: Callable[[Any, Path], Path] = importlib.import_module(module).draw_curve
    return draw
