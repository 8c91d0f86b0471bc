"""``marquee evaluate``: the accuracy table of the whole pipeline and every baseline."""

import importlib
import importlib.util
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from recsys.cli.data_source import data_source
from recsys.cli.evaluate_impressions import OURS, impression_report
from recsys.cli.models import DEFAULTS, chosen_of, fits_of
from recsys.cli.progress import steps_shown
from recsys.cli.train import read_config
from recsys.core.clock import unix_clock
from recsys.core.durable import replace_durably
from recsys.core.errors import FieldError, UnavailableError
from recsys.data.badrows import OnBadRow
from recsys.data.impressions import Target
from recsys.data.log import Vocabulary, encode
from recsys.data.shown import encode_impressions
from recsys.evaluation.baselines import BASELINES
from recsys.evaluation.groups import sample_tests
from recsys.evaluation.impressions.report import to_markdown as impression_page
from recsys.evaluation.impressions.results import ImpressionReport
from recsys.evaluation.impressions.split import known_by
from recsys.evaluation.protocols import EvaluationConfig, Protocol, Setting, evaluate, split_by
from recsys.evaluation.report import to_json, to_markdown
from recsys.evaluation.results import WHOLE, Report
from recsys.training.two_stage import TrainingConfig

app = typer.Typer(pretty_exceptions_enable=False)


class Way(StrEnum):
    """What a model is asked, and which past it may learn from."""

    LEAVE_LAST_OUT = Protocol.LEAVE_LAST_OUT.value
    GLOBAL_TIME = Protocol.GLOBAL_TIME.value
    IMPRESSIONS = "impressions"


@dataclass(frozen=True, slots=True)
class Made:
    """A report of either kind, ready to be written."""

    json: bytes
    page: Callable[[tuple[Path, ...]], str]
    draw: Callable[[Path], tuple[Path, ...]]


@app.command(name="evaluate")
def main(
    *,
    data: Annotated[str, typer.Option(help="A data set: ours, MovieLens or KuaiRand.")],
    protocol: Annotated[
        Way, typer.Option(help="Which past a model may learn from; impressions: order what was shown.")
    ] = Way.LEAVE_LAST_OUT,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for report.md and its plots.")] = None,
    models: Annotated[str | None, typer.Option(help="Only these, for example ease,two-stage.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of training, bootstrap and sampling.")] = 0,
    test_share: Annotated[float, typer.Option(help="global-time: the newest part is held out.")] = 0.1,
    target: Annotated[
        list[Target] | None,
        typer.Option(help="impressions: what makes one good; else clicks and long views."),
    ] = None,
    test_days: Annotated[float, typer.Option(help="impressions: the last days are held out.")] = 4.0,
    skip_days: Annotated[
        float, typer.Option(min=0.0, help="impressions: end so many days earlier, to choose settings by.")
    ] = 0.0,
    max_users: Annotated[int | None, typer.Option(min=1, help="Test at most so many users.")] = None,
    config: Annotated[Path | None, typer.Option(help="JSON file with training settings.")] = None,
    with_defaults: Annotated[
        bool, typer.Option("--with-defaults", help="A second two-stage row, of the settings as they come.")
    ] = False,
    on_bad_row: Annotated[OnBadRow, typer.Option(help="What to do about rows that cannot be read.")] = (
        OnBadRow.FAIL
    ),
) -> None:
    """Rank the whole catalogue, or what was shown, for every test user; say which model is better."""
    training = read_config(config).model_copy(update={"seed": seed})
    if with_defaults and config is None:
        raise FieldError("--with-defaults", "no --config", "settings that the defaults are compared with")
    settings = {WHOLE: training} | ({DEFAULTS: TrainingConfig(seed=seed)} if with_defaults else {})
    for option, path in (("--json", json_file), ("--out", out)):
        _check_place(option, path)
    if out is not None:
        _check_drawing()
    now_s = unix_clock()
    date = datetime.fromtimestamp(now_s, UTC).date().isoformat()
    setting = Setting(data, protocol.value, _machine(), date, seed)
    with steps_shown() as on_step:
        if protocol is Way.IMPRESSIONS:
            made = _shown(
                impression_report(
                    Path(data),
                    setting,
                    settings,
                    targets=tuple(target or ()),
                    models=models,
                    test_days=test_days,
                    skip_days=skip_days,
                    max_users=max_users,
                    on_bad_row=on_bad_row,
                    now_s=now_s,
                    on_step=on_step,
                )
            )
        else:
            wanted = chosen(models)
            on_step(f"reading {data}", 0.0)
            source = data_source(data)
            dataset = source.load(on_bad_row=on_bad_row, now_s=now_s).dataset
            items = Vocabulary(dataset.items["item_id"].to_list())
            log = encode(dataset, items)
            split = split_by(Protocol(protocol.value), log, test_share=test_share)
            shown = None
            if training.targets.weights:
                impressions = source.impressions(dataset, on_bad_row=on_bad_row, now_s=now_s)
                shown = known_by(encode_impressions(impressions, items, log), split)
            if max_users is not None:
                split = sample_tests(split, max_users, seed=seed)
            fits = fits_of(wanted, BASELINES, settings, on_step, shown)
            named = replace(setting, data=dataset.name)
            made = _ranked(evaluate(split, dataset.items, fits, named, EvaluationConfig(), on_step=on_step))
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        replace_durably(json_file, made.json)
    if out is not None:
        replace_durably(out / "report.md", made.page(made.draw(out)).encode())
    typer.echo(made.page(()), nl=False)


def chosen(models: str | None) -> tuple[str, ...]:
    """Return the names asked for, each once; all when nothing was asked for.

    Raises:
        NotFoundError: there is no such model.
    """
    return chosen_of(models, (*BASELINES, WHOLE))


def _ranked(report: Report) -> Made:
    return Made(
        to_json(report),
        partial(to_markdown, report),
        lambda folder: tuple(importlib.import_module("recsys.evaluation.plots").draw(report, folder)),
    )


def _shown(report: ImpressionReport) -> Made:
    module = "recsys.evaluation.impressions.plot"
    return Made(
        report.model_dump_json(indent=2).encode() + b"\n",
        partial(impression_page, report),
        lambda folder: tuple(importlib.import_module(module).draw(report, folder, ours=OURS)),
    )


def _check_drawing() -> None:
    """Find out before the long work, not after, whether plots can be drawn."""
    if importlib.util.find_spec("matplotlib") is None:
        raise UnavailableError("plotting", "matplotlib is missing; pip install 'marquee-recsys[plots]'")


def _check_place(option: str, path: Path | None) -> None:
    """Fail before the long work when its result could not be written."""
    if path is None:
        return
    wrong_kind = path.is_dir() if option == "--json" else path.is_file()
    nearest = next(each for each in (path, *path.absolute().parents) if each.exists())
    if wrong_kind or not os.access(nearest, os.W_OK):
        raise FieldError(
            option, str(path), "a file that can be written" if option == "--json" else "a folder"
        )


def _machine() -> str:
    python = platform.python_version()
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {python}"
